//! The log of the run on its way from `exec` to the gateway.
//!
//! Lines become numbered, dated events; events become chunks; chunks go to the gateway in order, one at a time, until
//! it has them. What the gateway has not stored is held here, at most [`BUFFER`] bytes: then [`Log::take`] waits, so
//! `exec` waits, and in the end the agent's write does.

use std::{collections::VecDeque, path::Path, time::Duration};

use drover_api::{
    log::{Event, EventId, Kind},
    runner::Output,
};
use reqwest::StatusCode;
use tokio::{sync::watch, time::Instant};

use crate::{
    backoff::Backoff,
    gateway::{Failure, Gateway},
    journal::{Chunk, Journal, Origin, Position, mark},
    text::count,
};

/// How many bytes of events are held at most before no more is taken. One event can go beyond it.
const BUFFER: usize = 1024 * 1024;
/// The largest chunk, in bytes.
const CHUNK: usize = 128 * 1024;
/// How long an event waits at most for others to share its chunk.
const LINGER: Duration = Duration::from_millis(300);

/// The log of one run.
#[derive(Debug)]
pub(crate) struct Log {
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct State {
    attempt: u32,
    position: Position,
    journal: Journal,
    /// The chunk that still grows.
    open: Option<Open>,
    /// Whole chunks, the oldest first.
    waiting: VecDeque<Chunk>,
    /// The bytes of all of them.
    buffered: usize,
    /// No chunk waits for company any more.
    flushing: bool,
    /// The gateway takes no more.
    stopped: Option<Stopped>,
}

#[derive(Debug)]
struct Open {
    start: Position,
    lines: Vec<u8>,
    since: Instant,
}

#[derive(Debug)]
struct Stopped {
    status: Option<StatusCode>,
    /// The first event that is not stored.
    first_lost: u64,
}

impl Log {
    /// The log of an attempt, continued where a broker before this one left it.
    pub(crate) fn open(attempt: u32, run_dir: &Path) -> Self {
        let recovered = Journal::open(run_dir, attempt);
        if recovered.position != Position::START {
            tracing::info!(next = recovered.position.next, unsent = recovered.chunks.len(), "the log is continued");
        }
        Self {
            state: watch::Sender::new(State {
                attempt,
                position: recovered.position,
                journal: recovered.journal,
                open: None,
                buffered: recovered.chunks.iter().map(|chunk| chunk.lines.len()).sum(),
                waiting: recovered.chunks.into(),
                flushing: false,
                stopped: None,
            }),
        }
    }

    /// Whether `exec` said anything yet, be it to a broker before this one.
    pub(crate) fn has_output(&self) -> bool {
        self.state.borrow().position.taken > 0
    }

    /// Takes lines of `exec`, which had sent `from` lines before them. Lines that were taken already are left out, so
    /// `exec` may send again what it has no answer for. Over once all are taken, which waits for room.
    pub(crate) async fn take(&self, from: u64, lines: &[Output]) {
        let mut states = self.state.subscribe();
        loop {
            // Cannot fail: this log holds the sender.
            let _ = states.wait_for(State::has_room).await;
            let mut dealt_with = 0;
            self.state.send_modify(|state| dealt_with = state.take(from, lines));
            if dealt_with >= lines.len() {
                return;
            }
        }
    }

    /// Adds an event of the broker's own. Does not wait for room: they are few.
    pub(crate) fn say(&self, kind: Kind, text: &str) {
        self.state.send_modify(|state| state.say(kind, text));
    }

    /// Sends chunk after chunk, for ever.
    pub(crate) async fn send_to(&self, gateway: &Gateway) {
        loop {
            let chunk = self.due().await;
            let mut backoff = Backoff::new();
            let refused = loop {
                let Err(failure) = gateway.put_log(chunk.start.next, chunk.lines.clone()).await else { break None };
                let Some(wait) = failure.retry_in(&mut backoff) else { break Some(failure) };
                tracing::warn!(error = %failure, sequence = chunk.start.next, "the log cannot be stored yet");
                tokio::time::sleep(wait).await;
            };
            match refused {
                None => self.state.send_modify(State::stored),
                Some(failure) => {
                    tracing::warn!(error = %failure, sequence = chunk.start.next, "no more of the log is stored");
                    self.state.send_modify(|state| state.stop(&failure));
                }
            }
        }
    }

    /// Over once all that was taken is stored, or never will be.
    pub(crate) async fn flush(&self) {
        self.state.send_modify(|state| state.flushing = true);
        let _ = self.state.subscribe().wait_for(State::is_settled).await;
    }

    /// What went wrong with the log, a sentence for the user.
    pub(crate) fn problem(&self) -> Option<String> {
        self.state.borrow().problem()
    }

    /// The oldest chunk, once it should go. It stays here until it is stored.
    async fn due(&self) -> Chunk {
        let mut states = self.state.subscribe();
        loop {
            let lingers_until = {
                let Ok(state) = states.wait_for(|state| !state.is_settled()).await else { continue };
                match (state.waiting.front(), &state.open) {
                    (Some(chunk), _) => return chunk.clone(),
                    (None, Some(open)) if !state.flushing => open.since + LINGER,
                    (None, _) => Instant::now(),
                }
            };
            let more = states.wait_for(|state| !state.waiting.is_empty() || state.flushing);
            if tokio::time::timeout_at(lingers_until, more).await.is_err() || self.state.borrow().flushing {
                self.state.send_modify(State::seal);
            }
        }
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.buffered < BUFFER || self.stopped.is_some()
    }

    fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.open.is_none()
    }

    /// Takes as many lines as there is room for; returns how many of them are dealt with, earlier calls included.
    fn take(&mut self, from: u64, lines: &[Output]) -> usize {
        if from > self.position.taken {
            let lost = count(from - self.position.taken, "line");
            self.say(Kind::Error, &format!("the broker was restarted without its journal: {lost} of output lost here"));
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

    fn say(&mut self, kind: Kind, text: &str) {
        let mut journaled = Vec::new();
        let said = Output { kind, stream: None, text: text.to_owned(), partial: false };
        self.append(Origin::Broker, said, &mut journaled);
        self.journal.append(&journaled);
    }

    /// Numbers and dates one line. What the journal is to hold goes to `journaled`, for the caller to write at once.
    fn append(&mut self, origin: Origin, output: Output, journaled: &mut Vec<u8>) {
        let start = self.position;
        if self.stopped.is_some() {
            self.position.advance(origin);
            return;
        }
        let line = self.encode(output);
        if self.open.as_ref().is_some_and(|open| open.lines.len() + line.len() > CHUNK) {
            self.journal.append(journaled);
            journaled.clear();
            self.seal();
        }
        let open = self.open.get_or_insert_with(|| Open { start, lines: Vec::new(), since: Instant::now() });
        open.lines.extend_from_slice(&line);
        mark(origin, &line, journaled);
        self.buffered += line.len();
        self.position.advance(origin);
    }

    fn encode(&self, output: Output) -> Vec<u8> {
        let Output { kind, stream, text, partial } = output;
        let id = EventId { attempt: self.attempt, sequence: self.position.next };
        let event = Event { id, time: format!("{:.3}", jiff::Timestamp::now()), kind, stream, text, partial };
        let mut line = serde_json::to_vec(&event).expect("an event has no key or value that JSON cannot hold");
        line.push(b'\n');
        line
    }

    /// Lets the open chunk go.
    fn seal(&mut self) {
        if let Some(Open { start, lines, .. }) = self.open.take() {
            self.waiting.push_back(Chunk { start, lines: lines.into() });
            self.journal.begin(self.position);
        }
    }

    /// Makes the journal begin at the position, which was moved without an event.
    fn restart_segment(&mut self) {
        if self.open.is_some() {
            self.seal();
        } else {
            self.journal.begin(self.position);
        }
    }

    /// The gateway has the oldest chunk.
    fn stored(&mut self) {
        if let Some(chunk) = self.waiting.pop_front() {
            self.buffered -= chunk.lines.len();
            self.journal.remove(chunk.start);
        }
    }

    /// The gateway takes neither the oldest chunk nor what follows. The journal keeps it, so that a broker that is
    /// started again comes to the same end and does not leave a gap.
    fn stop(&mut self, failure: &Failure) {
        let first_lost = self.waiting.front().map_or(self.position.next, |chunk| chunk.start.next);
        self.stopped = Some(Stopped { status: failure.status(), first_lost });
        self.waiting.clear();
        self.open = None;
        self.buffered = 0;
    }

    fn problem(&self) -> Option<String> {
        let first_lost = match &self.stopped {
            Some(stopped) => stopped.first_lost,
            None => self.waiting.front().map(|chunk| chunk.start).or(self.open.as_ref().map(|open| open.start))?.next,
        };
        let why = match self.stopped.as_ref().map(|stopped| stopped.status) {
            Some(Some(StatusCode::PAYLOAD_TOO_LARGE)) => "the log is longer than the platform keeps".to_owned(),
            Some(Some(status)) => format!("the gateway refused the log with {status}"),
            Some(None) | None => "the gateway could not be reached in time".to_owned(),
        };
        Some(format!("{why}: {} at its end not stored", count(self.position.next - first_lost, "line")))
    }
}

#[cfg(test)]
mod tests;
