//! Reads server-sent events (`text/event-stream`, WHATWG HTML section 9.2) from bytes as they arrive.
//!
//! Two departures from the standard, both for the log stream: an event without data counts when it has a name, so that
//! a bare `event: end` is heard; and `id` and `retry` are skipped, because an event's data names its id itself.

/// The longest event that is taken, in bytes: far more than the largest event of a log in any encoding.
const MAX_EVENT: usize = 1024 * 1024;

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its name; `message` when the stream gave none.
    pub(crate) event: String,
    /// Its data, lines joined by a line feed.
    pub(crate) data: String,
}

/// An event is longer than [`MAX_EVENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than 1 MiB")]
pub(crate) struct TooLarge;

/// What was read and is not a whole event yet.
#[derive(Default)]
pub(crate) struct Decoder {
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    /// Whether the first line was seen; it may begin with a byte order mark.
    begun: bool,
    event: String,
    data: Option<String>,
}

impl Decoder {
    /// Takes the next bytes and returns the events that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Message>, TooLarge> {
        let mut messages = Vec::new();
        for &byte in bytes {
            let continues_return = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if continues_return => {}
                b'\r' | b'\n' => messages.extend(self.end_line()),
                _ => self.push(byte)?,
            }
        }
        Ok(messages)
    }

    fn push(&mut self, byte: u8) -> Result<(), TooLarge> {
        if self.line.len() + self.data.as_ref().map_or(0, String::len) >= MAX_EVENT {
            return Err(TooLarge);
        }
        self.line.push(byte);
        Ok(())
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.begun, true);
        let line = String::from_utf8_lossy(&line);
        let line = if first { line.trim_start_matches('\u{feff}') } else { &line };
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A comment (no field name), or a field that means nothing here.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Message> {
        let event = std::mem::take(&mut self.event);
        let data = self.data.take();
        if event.is_empty() && data.is_none() {
            return None;
        }
        let event = if event.is_empty() { "message".to_owned() } else { event };
        Some(Message { event, data: data.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests;
