//! Events on their way to the gateway, on disk, so that a broker that is started again knows what it owes.
//!
//! A folder of segments. A segment is what becomes one chunk of the log; its name says where it starts
//! (`<next event>-<lines taken from exec>`), its lines are events behind a mark that says whether `exec` or the broker
//! said them. A segment is never written to once its chunk is on its way, so a chunk that has to be sent again is the
//! same to the byte. The successor exists before a segment goes, so the position is never lost.
//!
//! Nothing is synced: the journal has to survive the broker, not the node, whose end is the pod's as well.
//!
//! The folder is the broker's own: the agent's container does not have it. What is read back is bounded all the same,
//! and only well-formed consecutive events count, because a broker can die in the middle of a line. When the disk is
//! full the journal is given up and the run goes on.
//!
//! A log that the gateway cut stays cut: an empty file, [`CUT`], tells a broker that is started again.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    path::Path,
};

use bytes::Bytes;
use drover_api::log::{Event, EventId};
use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags},
    io::Errno,
};

/// A file that is there once the log was cut.
const CUT: &str = "cut";
/// The largest segment that is believed, in bytes.
const MAX_SEGMENT: u64 = 512 * 1024;
/// The most segments that are believed.
const MAX_SEGMENTS: usize = 64;

/// Where the log stands between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The number of the next event, from 1.
    pub(crate) next: u64,
    /// How many lines of `exec` are among the events before.
    pub(crate) taken: u64,
}

impl Position {
    pub(crate) const START: Self = Self { next: 1, taken: 0 };

    fn file_name(self) -> String {
        format!("{:020}-{:020}", self.next, self.taken)
    }

    fn of_file_name(name: &str) -> Option<Self> {
        let (next, taken) = name.split_once('-')?;
        Some(Self { next: next.parse().ok()?, taken: taken.parse().ok()? })
    }

    /// The position behind one more event.
    pub(crate) fn advance(&mut self, origin: Origin) {
        self.next += 1;
        self.taken += u64::from(origin == Origin::Exec);
    }
}

/// Who said an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Exec,
    Broker,
}

impl Origin {
    const fn mark(self) -> u8 {
        match self {
            Self::Exec => b'>',
            Self::Broker => b'-',
        }
    }

    fn of_mark(mark: u8) -> Option<Self> {
        [Self::Exec, Self::Broker].into_iter().find(|origin| origin.mark() == mark)
    }
}

/// Consecutive events, as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Where its first event stands.
    pub(crate) start: Position,
    /// An event each, JSON.
    pub(crate) lines: Bytes,
}

/// The segments of one run.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Absent once the journal was given up.
    folder: Option<OwnedFd>,
    current: Option<File>,
}

/// What a broker before this one left.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) journal: Journal,
    /// Where the log goes on.
    pub(crate) position: Position,
    /// What was not stored yet as far as is known.
    pub(crate) chunks: Vec<Chunk>,
    /// The gateway takes no output of the agent any more.
    pub(crate) cut: bool,
}

impl Journal {
    /// Reads what is there for this attempt and begins a segment behind it.
    pub(crate) fn open(folder: &Path, attempt: u32) -> Recovered {
        let mut journal = Self { folder: None, current: None };
        match open_folder(folder) {
            Ok(folder) => journal.folder = Some(folder),
            Err(error) => journal.give_up(error),
        }
        let (mut position, mut chunks) = (Position::START, Vec::new());
        for start in journal.segments() {
            let (lines, end) = journal.read_segment(start, attempt).unwrap_or_else(|error| {
                tracing::warn!(segment = start.next, %error, "a segment of the journal cannot be read");
                (Vec::new(), start)
            });
            // Segments go in order, so what is missing before this one was stored.
            if start.next != position.next {
                chunks.clear();
            }
            position = end;
            if !lines.is_empty() {
                chunks.push(Chunk { start, lines: lines.into() });
            }
        }
        let cut = journal.is_cut();
        journal.begin(position);
        Recovered { journal, position, chunks, cut }
    }

    /// Begins the segment that starts at `position`; what is appended goes there.
    pub(crate) fn begin(&mut self, position: Position) {
        let Some(folder) = &self.folder else { return };
        match create(folder, &position.file_name()) {
            Ok(file) => self.current = Some(file),
            Err(error) => self.give_up(error),
        }
    }

    /// Remembers that the log was cut.
    pub(crate) fn cut(&mut self) {
        let Some(folder) = &self.folder else { return };
        if let Err(error) = create(folder, CUT) {
            self.give_up(error);
        }
    }

    fn is_cut(&self) -> bool {
        self.folder.as_ref().is_some_and(|folder| rustix::fs::statat(folder, CUT, AtFlags::empty()).is_ok())
    }

    /// Appends marked lines, as [`mark`] makes them, to the segment that was begun last.
    pub(crate) fn append(&mut self, marked: &[u8]) {
        let Some(file) = &mut self.current else { return };
        if let Err(error) = file.write_all(marked) {
            self.give_up(error);
        }
    }

    /// Drops the segment that started at `position`: the gateway has it.
    pub(crate) fn remove(&mut self, position: Position) {
        let Some(folder) = &self.folder else { return };
        match rustix::fs::unlinkat(folder, position.file_name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => self.give_up(error),
        }
    }

    fn give_up(&mut self, error: impl std::fmt::Display) {
        tracing::warn!(%error, "the log goes on without its journal; it has a gap if the broker is restarted");
        self.folder = None;
        self.current = None;
    }

    /// The starts of the segments, in their order; the last ones if there are too many.
    fn segments(&self) -> Vec<Position> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let Ok(entries) = Dir::read_from(folder) else { return Vec::new() };
        let mut starts: Vec<_> =
            entries.filter_map(|entry| Position::of_file_name(entry.ok()?.file_name().to_str().ok()?)).collect();
        starts.sort_unstable();
        starts.split_off(starts.len().saturating_sub(MAX_SEGMENTS))
    }

    /// The events of a segment as they are sent, and the position behind them. What a dying broker had begun to write
    /// ends the segment: it was never acknowledged.
    fn read_segment(&self, start: Position, attempt: u32) -> std::io::Result<(Vec<u8>, Position)> {
        let folder = self.folder.as_ref().ok_or(Errno::BADF)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(folder, start.file_name(), flags, Mode::empty())?);
        let mut content = Vec::new();
        file.take(MAX_SEGMENT).read_to_end(&mut content)?;
        let (mut lines, mut position) = (Vec::new(), start);
        for marked in content.split_inclusive(|byte| *byte == b'\n') {
            let Some((origin, line)) = unmark(marked, EventId { attempt, sequence: position.next }) else { break };
            lines.extend_from_slice(line);
            position.advance(origin);
        }
        Ok((lines, position))
    }
}

/// An event's line as the journal holds it.
pub(crate) fn mark(origin: Origin, line: &[u8], into: &mut Vec<u8>) {
    into.push(origin.mark());
    into.extend_from_slice(line);
}

/// The reverse of [`mark`], if it is a whole line and holds the event that is expected.
fn unmark(marked: &[u8], expected: EventId) -> Option<(Origin, &[u8])> {
    let (mark, line) = marked.split_first()?;
    let event: Event = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    (event.id == expected).then_some((Origin::of_mark(*mark)?, line))
}

fn open_folder(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn create(folder: &OwnedFd, name: &str) -> rustix::io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?.into())
}

#[cfg(test)]
mod tests;
