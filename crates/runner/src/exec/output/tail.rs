//! The last lines of a text.

use drover_api::runner::Output;

use super::MAX_SAID;

/// The last lines of what was added, as far as they fit in [`MAX_SAID`] bytes. Holds twice as much at most, and one
/// piece.
#[derive(Debug, Default)]
pub(super) struct Tail {
    text: String,
}

impl Tail {
    pub(super) fn add(&mut self, pieces: &[Output]) {
        for piece in pieces {
            self.text.push_str(&piece.text);
            if !piece.partial {
                self.text.push('\n');
            }
            if self.text.len() > 2 * MAX_SAID {
                let kept = last_lines(&self.text).len();
                self.text.drain(..self.text.len() - kept);
            }
        }
    }

    pub(super) fn lines(&self) -> String {
        last_lines(self.text.trim_end()).to_owned()
    }
}

/// The longest end of `text` that has at most [`MAX_SAID`] bytes and begins with a line, or within its last line when
/// that alone is longer.
pub(super) fn last_lines(text: &str) -> &str {
    let Some(excess) = text.len().checked_sub(MAX_SAID).filter(|excess| *excess > 0) else { return text };
    // From the byte before the cut, so that a line which begins right there is kept.
    let end = &text[text.floor_char_boundary(excess - 1)..];
    let lines = end.split_once('\n').map_or("", |(_, lines)| lines);
    if lines.is_empty() { &text[text.ceil_char_boundary(excess)..] } else { lines }
}

#[cfg(test)]
mod tests;
