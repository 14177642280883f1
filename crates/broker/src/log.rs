//! The log of the run on its way from `exec` to the gateway.
//!
//! Lines become numbered, dated events; events become chunks; chunks go to the gateway in order, one at a time, until
//! it has them. What the gateway has not stored is held here, in a bounded [`State`]: when it is full [`Log::take`]
//! waits, so `exec` waits, and in the end the agent's write does.
//!
//! A log can get longer than the platform keeps, or its store be full. Then the log is cut: it goes on with a sentence
//! that says so and with Drover's own events, and what the agent prints is dropped, so that it never waits for room
//! that does not come.

mod state;

use std::{path::Path, time::Duration};

use drover_api::{log::Kind, runner::Output};
use tokio::{sync::watch, time::Instant};

use crate::{
    backoff::Backoff,
    gateway::Gateway,
    journal::{Chunk, Journal, Position},
};
use state::{State, full};

/// How long an event waits at most for others to share its chunk.
const LINGER: Duration = Duration::from_millis(300);

/// The log of one run.
#[derive(Debug)]
pub(crate) struct Log {
    state: watch::Sender<State>,
}

impl Log {
    /// The log of an attempt, continued where a broker before this one left it.
    pub(crate) fn open(attempt: u32, journal: &Path) -> Self {
        let recovered = Journal::open(journal, attempt);
        if recovered.position != Position::START {
            tracing::info!(next = recovered.position.next, unsent = recovered.chunks.len(), "the log is continued");
        }
        Self { state: watch::Sender::new(State::new(attempt, recovered)) }
    }

    /// How many lines of `exec` were taken so far, by brokers before this one too.
    pub(crate) fn taken(&self) -> u64 {
        self.state.borrow().taken()
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
                let wait = if full(&failure).is_some() { None } else { failure.retry_in(&mut backoff) };
                let Some(wait) = wait else { break Some(failure) };
                tracing::warn!(error = %failure, sequence = chunk.start.next, "the log cannot be stored yet");
                tokio::time::sleep(wait).await;
            };
            match refused {
                None => self.state.send_modify(State::stored),
                Some(failure) => {
                    tracing::warn!(error = %failure, sequence = chunk.start.next, "the log was refused");
                    self.state.send_modify(|state| state.refuse(&failure));
                }
            }
        }
    }

    /// Over once all that was taken is stored, or never will be.
    pub(crate) async fn flush(&self) {
        self.state.send_modify(|state| state.flushing = true);
        let _ = self.state.subscribe().wait_for(State::is_settled).await;
        // The end may have been asked for too early, and the log go on.
        self.state.send_modify(|state| state.flushing = false);
    }

    /// What the log lacks and does not say itself.
    pub(crate) fn problem(&self) -> Option<String> {
        self.state.borrow().problem()
    }

    /// The oldest chunk, once it should go. It stays here until it is stored.
    async fn due(&self) -> Chunk {
        let mut states = self.state.subscribe();
        loop {
            let lingers_until = {
                let Ok(state) = states.wait_for(|state| !state.is_settled()).await else { continue };
                match (state.oldest(), state.open_since()) {
                    (Some(chunk), _) => return chunk.clone(),
                    (None, Some(since)) if !state.flushing => since + LINGER,
                    (None, _) => Instant::now(),
                }
            };
            let more = states.wait_for(|state| state.oldest().is_some() || state.flushing);
            if tokio::time::timeout_at(lingers_until, more).await.is_err() || self.state.borrow().flushing {
                self.state.send_modify(State::seal);
            }
        }
    }
}

#[cfg(test)]
mod tests;
