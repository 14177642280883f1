//! The conversation: which message the agent gets next, and what happens when it has dealt with one.
//!
//! One task answers `exec` from one queue, so there is one order of things. What is promised:
//! - Messages are given in the gateway's order. One that was dealt with, as the state or the gateway knows it, is never
//!   given again; one that was taken away before it was given is not given.
//! - A turn is in the state's file before anything else is done about its end. When more follows, its checkpoint is
//!   stored before the report that tells of it, and `exec` goes on only then.
//! - Each answer can be asked for again, of another broker too: the same message, the same end.
//!
//! The task is dropped when the agent has to end. What it has not done by then is made good in [`finish`](crate::finish).

use std::sync::atomic::Ordering;

use drover_api::{
    log::Kind,
    runner::{self, Message, NextTurn, Termination, TurnEnd},
    state::Reason,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Broker, Config,
    backoff::{Backoff, SLOW},
    checkpoint,
    gateway::Gateway,
    reports,
    state::{self, End, State},
};

/// What `exec` wants. Who does not wait for the answer any more asks again.
pub(crate) enum Asked {
    /// The next message; `None` when there will be none.
    Next(oneshot::Sender<Option<NextTurn>>),
    /// The end of a turn; `false` when the message was never given.
    End { id: String, end: Box<TurnEnd>, taken: oneshot::Sender<bool> },
}

/// Answers `exec`, for ever.
pub(crate) async fn lead(broker: &Broker, gateway: &Gateway, config: &Config, mut asked: mpsc::Receiver<Asked>) {
    let mut conversation = Conversation { broker, gateway, config, heard: None, given: None, settled: None };
    if let Err(problem) = conversation.take_up().await {
        let message = format!("what the attempt before left cannot be put back: {problem}");
        broker.end_agent(&config.paths, Termination { reason: Reason::RestoreFailed, message });
        return std::future::pending().await;
    }
    while let Some(asked) = asked.recv().await {
        // Who asked may be gone, and asks again.
        match asked {
            Asked::Next(answer) => drop(answer.send(conversation.next().await)),
            Asked::End { id, end, taken } => drop(taken.send(conversation.end(&id, &end).await)),
        }
    }
}

struct Conversation<'a> {
    broker: &'a Broker,
    gateway: &'a Gateway,
    config: &'a Config,
    /// What the gateway said, while it is fresh.
    heard: Option<runner::Conversation>,
    /// The message that `exec` has, or was to get.
    given: Option<NextTurn>,
    /// The turn whose end was seen to by this broker.
    settled: Option<String>,
}

impl Conversation<'_> {
    /// Puts back what an attempt before left, unless this attempt works on it already.
    async fn take_up(&mut self) -> Result<(), String> {
        if self.broker.state.borrow().handed_out {
            return Ok(());
        }
        if let Some(mut restored) = checkpoint::restore(self.gateway, self.config).await? {
            let from = restored.attempt;
            restored.go_on_in(self.config.attempt).map_err(|error| error.to_string())?;
            self.broker.state.send_replace(restored);
            self.write().await.map_err(|error| format!("the state of the conversation cannot be written: {error}"))?;
            self.broker.log.say(Kind::System, &format!("working directory and home of attempt {from} were put back"));
        }
        checkpoint::taken_back(&self.config.paths.journal).map_err(|error| format!("the journal: {error}"))
    }

    /// Over once there is a message, or will be none.
    async fn next(&mut self) -> Option<NextTurn> {
        if let Some(given) = &self.given {
            return Some(given.clone());
        }
        let mut heard = match self.heard.take() {
            Some(heard) => heard,
            None => self.hear(None).await,
        };
        loop {
            let message = self.broker.state.borrow().pending(&heard.messages).cloned();
            if let Some(message) = message {
                return Some(self.give(&message).await);
            }
            if !heard.interactive {
                self.heard = Some(heard);
                return None;
            }
            self.wait().await;
            heard = self.hear(Some(heard.generation)).await;
        }
    }

    async fn give(&mut self, message: &Message) -> NextTurn {
        let cut_short = self.config.previous_interrupted;
        let (mut turn, mut waited) = (None, false);
        self.broker.state.send_modify(|state| {
            waited = state.waiting.is_some();
            turn = Some(state.begin(message, cut_short, now()));
        });
        let turn = turn.expect("the closure was called");
        self.broker.unkept.store(true, Ordering::Relaxed);
        self.broker.started.send_replace(true);
        // Before: while the file says that the agent waits, its next broker tells as well that it does not any more.
        if waited {
            self.report().await;
        }
        self.save().await;
        self.given = Some(turn.clone());
        turn
    }

    /// Tells that the agent waits, once.
    async fn wait(&self) {
        if self.broker.state.borrow().waiting.is_none() {
            self.broker.state.send_modify(|state| state.wait(now()));
            self.broker.started.send_replace(true);
            self.report().await;
            // Afterwards: what the file says was reported. Again in vain is better than never.
            self.save().await;
        }
    }

    async fn end(&mut self, id: &str, end: &TurnEnd) -> bool {
        let mut known = End::Stranger;
        self.broker.state.send_modify(|state| known = state.end(id, end, now()));
        match known {
            End::Stranger => return false,
            End::Known if self.settled.as_deref() == Some(id) => return true,
            End::Known => {}
            End::Recorded => {
                self.given = None;
                self.save().await;
            }
        }
        self.settle().await;
        self.settled = Some(id.to_owned());
        true
    }

    /// Sees to it that the turn that was recorded last is not lost, if something follows. The last one of a run goes
    /// with the last report.
    async fn settle(&mut self) {
        let heard = self.hear(None).await;
        let more = self.broker.state.borrow().pending(&heard.messages).is_some();
        if !more && !heard.interactive {
            self.heard = Some(heard);
            return;
        }
        checkpoint::keep(self.broker, self.gateway, self.config).await;
        if more {
            self.report().await;
        } else {
            self.wait().await;
        }
        // What is given next is asked for anew: it may have been taken away meanwhile.
        self.heard = None;
    }

    /// What the gateway says now; with `after`, once it says something else or has kept silent for long.
    async fn hear(&self, after: Option<i64>) -> runner::Conversation {
        let mut backoff = Backoff::new();
        loop {
            let failure = match self.gateway.conversation(after).await {
                Ok(heard) => return heard,
                Err(failure) => failure,
            };
            tracing::warn!(error = %failure, "the conversation cannot be fetched yet");
            // A refusal can still end, for instance when the kubelet renews the token.
            tokio::time::sleep(failure.retry_in(&mut backoff).unwrap_or(SLOW)).await;
        }
    }

    async fn report(&self) {
        let report = reports::of(&self.broker.state.borrow());
        let report = self.broker.reports.send(self.gateway, report).await;
        self.broker.state.send_modify(|state| state.reports = report.sequence);
    }

    /// Writes the state. When that fails the conversation goes on: the reports tell of the turns as well.
    async fn save(&self) {
        if let Err(error) = self.write().await {
            tracing::error!(%error, "the state of the conversation cannot be written");
            let problem = format!("the state of the conversation: {error}");
            self.broker.log.say(Kind::Error, &format!("not kept for the next attempt: {problem}"));
            self.broker.state.send_modify(|state| state.not_kept = Some(problem));
        }
    }

    async fn write(&self) -> std::io::Result<()> {
        let (state, folder) = (State::clone(&self.broker.state.borrow()), self.config.paths.state.clone());
        let writing = tokio::task::spawn_blocking(move || state::save(&folder, &state));
        writing.await.map_err(std::io::Error::other)?
    }
}

fn now() -> Time {
    Time(Timestamp::now())
}
