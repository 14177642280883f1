//! From bytes to lines of text.

use std::str::Utf8Error;

use drover_api::{
    log::{Kind, MAX_TEXT, Stream},
    runner::Output,
};

/// Cuts bytes into lines of text of at most [`MAX_TEXT`] bytes each, however the bytes arrive. Holds at most one text
/// and the beginning of one character.
#[derive(Debug)]
pub(super) struct Splitter {
    kind: Kind,
    stream: Stream,
    text: String,
    /// The beginning of a character whose end has not arrived.
    unfinished: Vec<u8>,
    /// The line has pieces before `text`.
    continued: bool,
}

impl Splitter {
    pub(super) const fn new(kind: Kind, stream: Stream) -> Self {
        Self { kind, stream, text: String::new(), unfinished: Vec::new(), continued: false }
    }

    /// Adds bytes; what became whole goes to `pieces`.
    pub(super) fn push(&mut self, bytes: &[u8], pieces: &mut Vec<Output>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(part) => {
                    self.decode(part, pieces);
                    self.end_line(pieces);
                }
                None => self.decode(part, pieces),
            }
        }
    }

    /// Ends a line that has no end.
    pub(super) fn end(&mut self, pieces: &mut Vec<Output>) {
        if self.continued || !self.text.is_empty() || !self.unfinished.is_empty() {
            self.end_line(pieces);
        }
    }

    fn end_line(&mut self, pieces: &mut Vec<Output>) {
        if !self.unfinished.is_empty() {
            self.unfinished.clear();
            self.add("\u{FFFD}", pieces);
        }
        if self.text.ends_with('\r') {
            self.text.pop();
        }
        self.continued = false;
        pieces.push(self.piece(false));
    }

    fn decode(&mut self, bytes: &[u8], pieces: &mut Vec<Output>) {
        let joined;
        let mut rest = bytes;
        if !self.unfinished.is_empty() {
            joined = [std::mem::take(&mut self.unfinished).as_slice(), bytes].concat();
            rest = &joined;
        }
        while !rest.is_empty() {
            let (valid, error) = valid_part(rest);
            self.add(valid, pieces);
            rest = &rest[valid.len()..];
            match error.map(|error| error.error_len()) {
                Some(Some(invalid)) => {
                    self.add("\u{FFFD}", pieces);
                    rest = &rest[invalid..];
                }
                Some(None) => {
                    self.unfinished = rest.to_vec();
                    return;
                }
                None => {}
            }
        }
    }

    fn add(&mut self, mut text: &str, pieces: &mut Vec<Output>) {
        loop {
            let room = text.floor_char_boundary(MAX_TEXT - self.text.len());
            self.text.push_str(&text[..room]);
            text = &text[room..];
            if text.is_empty() {
                return;
            }
            self.continued = true;
            pieces.push(self.piece(true));
        }
    }

    fn piece(&mut self, partial: bool) -> Output {
        Output { kind: self.kind, stream: Some(self.stream), text: std::mem::take(&mut self.text), partial }
    }
}

/// The longest valid beginning, and what is wrong behind it.
fn valid_part(bytes: &[u8]) -> (&str, Option<Utf8Error>) {
    match str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(), Some(error)),
    }
}

#[cfg(test)]
mod tests;
