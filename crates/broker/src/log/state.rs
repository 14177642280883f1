//! What of the log the gateway does not have yet.

use std::collections::VecDeque;

use drover_api::{
    log::{Event, EventId, Kind},
    runner::Output,
};
use reqwest::StatusCode;
use tokio::time::Instant;

use crate::{
    gateway::Failure,
    journal::{Chunk, Journal, Origin, Position, Recovered, mark},
    text::count,
};

/// How many bytes of events are held at most before no more is taken. One event can go beyond it.
pub(super) const BUFFER: usize = 1024 * 1024;
/// The largest chunk, in bytes.
pub(super) const CHUNK: usize = 128 * 1024;

/// Events from the first that the gateway does not have to the last that was taken, and their journal.
#[derive(Debug)]
pub(super) struct State {
    attempt: u32,
    position: Position,
    journal: Journal,
    /// Where the journal's present segment starts.
    segment: Position,
    /// The chunk that still grows.
    open: Option<Open>,
    /// Whole chunks, the oldest first.
    waiting: VecDeque<Chunk>,
    /// The bytes of all of them.
    buffered: usize,
    /// No chunk waits for company any more.
    pub(super) flushing: bool,
    /// The gateway takes only Drover's own events.
    cut: bool,
    /// The gateway takes no more at all.
    stopped: Option<Stopped>,
}

#[derive(Debug)]
struct Open {
    lines: Vec<u8>,
    since: Instant,
}

#[derive(Debug)]
struct Stopped {
    status: Option<StatusCode>,
    /// The first event that is not stored.
    first_lost: u64,
}

/// What the log says in place of the rest, when the answer means that there is no room for it.
pub(super) fn full(failure: &Failure) -> Option<&'static str> {
    match failure.status()? {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Some("the log is longer than the platform keeps; the rest of the agent's output is not kept")
        }
        StatusCode::INSUFFICIENT_STORAGE => {
            Some("the platform's store is full; the rest of the agent's output is not kept")
        }
        _ => None,
    }
}

impl State {
    pub(super) fn new(attempt: u32, recovered: Recovered) -> Self {
        let Recovered { journal, position, chunks, cut } = recovered;
        Self {
            attempt,
            position,
            journal,
            segment: position,
            open: None,
            buffered: chunks.iter().map(|chunk| chunk.lines.len()).sum(),
            waiting: chunks.into(),
            flushing: false,
            cut,
            stopped: None,
        }
    }

    pub(super) fn taken(&self) -> u64 {
        self.position.taken
    }

    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.buffered
    }

    pub(super) fn oldest(&self) -> Option<&Chunk> {
        self.waiting.front()
    }

    pub(super) fn open_since(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.since)
    }

    pub(super) fn has_room(&self) -> bool {
        self.buffered < BUFFER || self.stopped.is_some()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.open.is_none()
    }

    /// Takes as many lines as there is room for; returns how many of them are dealt with, earlier calls included.
    pub(super) fn take(&mut self, from: u64, lines: &[Output]) -> usize {
        if from > self.position.taken {
            // What a cut log drops is in no journal.
            if !self.cut {
                let lost = count(from - self.position.taken, "line");
                let gap = format!("the broker was restarted without its journal: {lost} of output lost here");
                self.say(Kind::Error, &gap);
            }
            self.position.taken = from;
            self.restart_segment();
        }
        let known = usize::try_from(self.position.taken - from).unwrap_or(usize::MAX).min(lines.len());
        let mut journaled = Vec::new();
        let mut dealt_with = known;
        for line in &lines[known..] {
            if !self.has_room() {
                break;
            }
            self.append(Origin::Exec, line.clone(), &mut journaled);
            dealt_with += 1;
        }
        self.journal.append(&journaled);
        dealt_with
    }

    pub(super) fn say(&mut self, kind: Kind, text: &str) {
        let mut journaled = Vec::new();
        let said = Output { kind, stream: None, text: text.to_owned(), partial: false };
        self.append(Origin::Broker, said, &mut journaled);
        self.journal.append(&journaled);
    }

    /// Numbers and dates one line. What the journal is to hold goes to `journaled`, for the caller to write at once.
    fn append(&mut self, origin: Origin, output: Output, journaled: &mut Vec<u8>) {
        if self.stopped.is_some() {
            self.position.advance(origin);
        } else if self.cut && !is_own(output.kind) {
            self.position.taken += u64::from(origin == Origin::Exec);
        } else {
            let Output { kind, stream, text, partial } = output;
            let time = format!("{:.3}", jiff::Timestamp::now());
            self.push(origin, Event { id: EventId::START, time, kind, stream, text, partial }, journaled);
        }
    }

    /// Adds an event, whatever its number was.
    fn push(&mut self, origin: Origin, mut event: Event, journaled: &mut Vec<u8>) {
        event.id = EventId { attempt: self.attempt, sequence: self.position.next };
        let mut line = serde_json::to_vec(&event).expect("an event has no key or value that JSON cannot hold");
        line.push(b'\n');
        if self.open.as_ref().is_some_and(|open| open.lines.len() + line.len() > CHUNK) {
            self.journal.append(journaled);
            journaled.clear();
            self.seal();
        }
        let open = self.open.get_or_insert_with(|| Open { lines: Vec::new(), since: Instant::now() });
        open.lines.extend_from_slice(&line);
        mark(origin, &line, journaled);
        self.buffered += line.len();
        self.position.advance(origin);
    }

    /// Lets the open chunk go.
    pub(super) fn seal(&mut self) {
        if let Some(Open { lines, .. }) = self.open.take() {
            self.waiting.push_back(Chunk { start: self.segment, lines: lines.into() });
            self.begin_segment();
        }
    }

    /// Makes the journal begin at the position, which was moved without an event.
    fn restart_segment(&mut self) {
        if self.open.is_some() {
            self.seal();
        } else {
            self.begin_segment();
        }
    }

    fn begin_segment(&mut self) {
        self.segment = self.position;
        self.journal.begin(self.segment);
    }

    /// The gateway has the oldest chunk.
    pub(super) fn stored(&mut self) {
        if let Some(chunk) = self.waiting.pop_front() {
            self.buffered -= chunk.lines.len();
            self.journal.remove(chunk.start);
        }
    }

    /// The gateway will never take the oldest chunk.
    pub(super) fn refuse(&mut self, failure: &Failure) {
        let only_own = self.oldest().is_none_or(|chunk| events(&chunk.lines).all(|event| is_own(event.kind)));
        match full(failure) {
            Some(sentence) if !(self.cut && only_own) => self.cut(sentence),
            _ => self.stop(failure),
        }
    }

    /// Goes on from the oldest chunk's number with `sentence` and with those events that are Drover's own.
    ///
    /// The sentence gets a chunk of its own, so that it is small enough for whatever room there is.
    fn cut(&mut self, sentence: &str) {
        let Some(first) = self.oldest().map(|chunk| chunk.start) else { return };
        let open = self.open.take().map(|open| open.lines.into());
        let lines = self.waiting.iter().map(|chunk| chunk.lines.clone()).chain(open);
        let own: Vec<Event> =
            lines.flat_map(|lines| events(&lines).collect::<Vec<_>>()).filter(|event| is_own(event.kind)).collect();
        self.journal.cut();
        // From behind, so that a broker that dies in between leaves a journal without a gap.
        self.journal.remove(self.segment);
        for chunk in self.waiting.drain(..).skip(1).rev() {
            self.journal.remove(chunk.start);
        }
        self.buffered = 0;
        self.cut = true;
        self.position.next = first.next;
        self.begin_segment();
        if first != self.segment {
            self.journal.remove(first);
        }
        self.say(Kind::Error, sentence);
        self.seal();
        let mut journaled = Vec::new();
        for event in own {
            self.push(Origin::Broker, event, &mut journaled);
        }
        self.journal.append(&journaled);
    }

    /// The gateway takes neither the oldest chunk nor what follows. The journal keeps it, so that a broker that is
    /// started again comes to the same end and does not leave a gap.
    fn stop(&mut self, failure: &Failure) {
        let first_lost = self.oldest().map_or(self.position.next, |chunk| chunk.start.next);
        self.stopped = Some(Stopped { status: failure.status(), first_lost });
        self.waiting.clear();
        self.open = None;
        self.buffered = 0;
    }

    pub(super) fn problem(&self) -> Option<String> {
        let first_lost = match &self.stopped {
            Some(stopped) => stopped.first_lost,
            None if self.is_settled() => return None,
            None => self.oldest().map_or(self.segment, |chunk| chunk.start).next,
        };
        let why = match self.stopped.as_ref().map(|stopped| stopped.status) {
            Some(Some(status)) => format!("the gateway refused the log with {status}"),
            Some(None) | None => "the gateway could not be reached in time".to_owned(),
        };
        Some(format!("{why}: {} at its end not stored", count(self.position.next - first_lost, "line")))
    }
}

/// Whether it is Drover that speaks.
fn is_own(kind: Kind) -> bool {
    matches!(kind, Kind::System | Kind::Error)
}

fn events(lines: &[u8]) -> impl Iterator<Item = Event> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}
