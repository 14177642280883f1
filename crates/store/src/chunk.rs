use std::io;

use bytes::Bytes;
use drover_api::log::{Event, EventId, MAX_TEXT};
use jiff::Timestamp;

/// The largest [`LogChunk`], in bytes.
pub const MAX_CHUNK: usize = 1024 * 1024;

/// The largest sequence with which a chunk begins, so that counting on from it cannot overflow.
const MAX_SEQUENCE: u64 = 1 << 53;

/// The longest time of an event, in bytes: one with nanoseconds and an offset.
const MAX_TIME: usize = 35;

/// A piece of an attempt's log: lines of [`Event`], numbered one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct LogChunk {
    pub(crate) first: EventId,
    pub(crate) events: Vec<Event>,
}

/// Why bytes are not a [`LogChunk`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChunk {
    /// Too many bytes.
    #[error("a piece of a log has at most {MAX_CHUNK} bytes")]
    TooLarge,
    /// No event.
    #[error("a piece of a log holds at least one event")]
    Empty,
    /// Attempts and sequences are counted from 1.
    #[error("attempts and events are counted from 1, events to {MAX_SEQUENCE}")]
    Numbers,
    /// A line is not an event.
    #[error("line {line} is not an event: {problem}")]
    NotAnEvent {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// An event has another number than its place says.
    #[error("line {line} is event {found}, but {expected} is next")]
    OutOfOrder {
        /// The line, counted from 1.
        line: usize,
        /// Its number.
        found: EventId,
        /// What was expected.
        expected: EventId,
    },
    /// A text is too long.
    #[error("the text of line {0} has more than {MAX_TEXT} bytes")]
    TextTooLong(usize),
    /// A time is not one.
    #[error("the time of line {0} is not RFC 3339, for instance 2026-01-01T12:00:00.000Z")]
    Time(usize),
}

impl LogChunk {
    /// Reads lines of events, the first of which is `first`.
    ///
    /// # Errors
    /// When there is none, there are too many, or one is not the event that belongs there.
    pub fn parse(first: EventId, bytes: &[u8]) -> Result<Self, InvalidChunk> {
        if bytes.len() > MAX_CHUNK {
            return Err(InvalidChunk::TooLarge);
        }
        if first.attempt == 0 || first.sequence == 0 || first.sequence > MAX_SEQUENCE {
            return Err(InvalidChunk::Numbers);
        }
        let mut events = Vec::new();
        let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
        for (expected, (index, line)) in (first.sequence..).zip(lines) {
            let line_number = index + 1;
            let event: Event = serde_json::from_slice(line)
                .map_err(|error| InvalidChunk::NotAnEvent { line: line_number, problem: error.to_string() })?;
            let expected = EventId { attempt: first.attempt, sequence: expected };
            if event.id != expected {
                return Err(InvalidChunk::OutOfOrder { line: line_number, found: event.id, expected });
            }
            if event.text.len() > MAX_TEXT {
                return Err(InvalidChunk::TextTooLong(line_number));
            }
            if !is_time(&event.time) {
                return Err(InvalidChunk::Time(line_number));
            }
            events.push(event);
        }
        if events.is_empty() { Err(InvalidChunk::Empty) } else { Ok(Self { first, events }) }
    }

    /// Its events, at least one.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Without its first `count` events; `None` when nothing is left.
    pub(crate) fn skip(mut self, count: usize) -> Option<Self> {
        if count >= self.events.len() {
            return None;
        }
        self.events.drain(..count);
        self.first = self.events.first()?.id;
        Some(self)
    }

    /// The chunk as it is stored.
    pub(crate) fn to_lines(&self) -> Bytes {
        let mut lines = Vec::new();
        for event in &self.events {
            serde_json::to_writer(&mut lines, event)
                .expect("an event has no map keys and writing to memory cannot fail");
            lines.push(b'\n');
        }
        lines.into()
    }
}

fn is_time(text: &str) -> bool {
    // Other notations, which the parser knows beside RFC 3339, have blanks or brackets.
    text.len() <= MAX_TIME
        && text.as_bytes().get(10) == Some(&b'T')
        && !text.contains('[')
        && text.parse::<Timestamp>().is_ok()
}

/// How long the line of an event is, in bytes.
pub(crate) fn line_length(event: &Event) -> usize {
    let mut length = Length(1);
    serde_json::to_writer(&mut length, event).expect("an event has no map keys and counting cannot fail");
    length.0
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
