//! What the broker knows of the conversation, in a file that survives the broker and, as the workspace does, the pod.
//!
//! It is read once and written whole, beside the file that is there and then in its place, and is on the disk before
//! anybody is told. So a turn that was recorded is never dealt with again, whenever a broker is killed.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use drover_api::{
    report::{MAX_QUESTION, MAX_RESULT, MAX_TURNS, Turn, Usage, Waiting},
    runner::{Message, NextTurn, TurnEnd},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

use crate::text::{beginning_in_json, cut, end_in_json};

/// The file's name, in its folder and in a checkpoint.
pub(crate) const FILE: &str = "state.json";
/// The largest file that is believed, in bytes: far more than the ids of all messages that a Session can have.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;
/// The longest id under which an agent keeps a conversation, in bytes.
const MAX_RESUME_ID: usize = 256;

/// A conversation, up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct State {
    /// The attempt that wrote this.
    pub(crate) attempt: u32,
    /// It has given a message to the agent.
    pub(crate) handed_out: bool,
    /// How many reports it has made, at least.
    pub(crate) reports: u64,
    /// The id under which the agent keeps the conversation.
    pub(crate) resume_id: Option<String>,
    /// The ids of all messages that were dealt with.
    pub(crate) consumed: Vec<String>,
    /// The last turns, the newest last.
    pub(crate) turns: Vec<Turn>,
    /// The message that the agent was given and has not dealt with.
    pub(crate) under_way: Option<UnderWay>,
    /// What the agent asked at the end of the last turn.
    pub(crate) question: Option<String>,
    /// What was reported of the wait for a message.
    pub(crate) waiting: Option<Waiting>,
    /// What the last checkpoint does not hold.
    pub(crate) not_kept: Option<String>,
}

/// A turn that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnderWay {
    /// The id of its message.
    message: String,
    attempt: u32,
    started_at: Time,
    /// An attempt before was cut short in the middle of it.
    interrupted: bool,
}

/// What the end of a turn means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was recorded just now.
    Recorded,
    /// It was recorded before.
    Known,
    /// The message was never given to the agent.
    Stranger,
}

impl State {
    /// Goes on in `attempt`.
    ///
    /// # Errors
    /// When a later attempt wrote the state: this one was left behind and must not touch anything.
    pub(crate) fn go_on_in(&mut self, attempt: u32) -> Result<(), StateError> {
        if self.attempt > attempt {
            return Err(StateError::Overtaken(self.attempt));
        }
        if self.attempt < attempt {
            let Self { resume_id, consumed, turns, under_way, question, .. } = std::mem::take(self);
            *self = Self { attempt, resume_id, consumed, turns, under_way, question, ..Self::default() };
        }
        Ok(())
    }

    /// The first message that was not dealt with; before all others the one that this attempt was given already.
    pub(crate) fn pending<'a>(&self, messages: &'a [Message]) -> Option<&'a Message> {
        let mut open = messages.iter().filter(|message| !self.has_consumed(&message.id));
        let given = self.under_way.as_ref().filter(|turn| turn.attempt == self.attempt);
        let again = given.and_then(|turn| messages.iter().find(|message| message.id == turn.message));
        again.or_else(|| open.next())
    }

    fn has_consumed(&self, id: &str) -> bool {
        self.consumed.iter().any(|consumed| consumed == id)
    }

    /// Gives a message to the agent. `cut_short` says that the attempt before ended in the middle of a turn.
    pub(crate) fn begin(&mut self, message: &Message, cut_short: bool, now: Time) -> NextTurn {
        let known = self.under_way.take().filter(|turn| turn.message == message.id);
        let turn = match known {
            Some(turn) if turn.attempt == self.attempt => turn,
            known => UnderWay {
                message: message.id.clone(),
                attempt: self.attempt,
                started_at: now,
                interrupted: known.is_some() || (cut_short && !self.handed_out),
            },
        };
        let interrupted = turn.interrupted;
        self.under_way = Some(turn);
        self.handed_out = true;
        self.question = None;
        self.waiting = None;
        NextTurn { message: message.clone(), interrupted, resume_id: self.resume_id.clone() }
    }

    /// Records the end of a turn.
    pub(crate) fn end(&mut self, id: &str, end: &TurnEnd, now: Time) -> End {
        if self.has_consumed(id) {
            return End::Known;
        }
        let Some(turn) = self.under_way.take_if(|turn| turn.message == id && turn.attempt == self.attempt) else {
            return End::Stranger;
        };
        let TurnEnd { result, question, resume_id, usage } = end;
        if let Some(resume_id) = resume_id {
            self.resume_id = Some(cut(resume_id, MAX_RESUME_ID).to_owned());
        }
        self.question = question.as_deref().map(|question| beginning_in_json(question, MAX_QUESTION).to_owned());
        self.consumed.push(id.to_owned());
        self.turns.push(Turn {
            message: turn.message,
            attempt: turn.attempt,
            started_at: turn.started_at,
            finished_at: now,
            result: end_in_json(result, MAX_RESULT).to_owned(),
            usage: usage.map(countable),
        });
        let older = self.turns.len().saturating_sub(MAX_TURNS);
        self.turns.drain(..older);
        End::Recorded
    }

    /// Begins to wait for a message; the wait is as old as the last turn's end, if that was in this attempt.
    pub(crate) fn wait(&mut self, now: Time) {
        if self.waiting.is_none() {
            let last = self.turns.last().filter(|turn| turn.attempt == self.attempt);
            let since = last.map_or(now, |turn| turn.finished_at.clone());
            self.waiting = Some(Waiting { since, question: self.question.clone() });
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a state has no key or value that JSON cannot hold")
    }

    /// The reverse of [`encode`](Self::encode).
    ///
    /// # Errors
    /// When the bytes are not a state.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        serde_json::from_slice(bytes).map_err(StateError::Malformed)
    }
}

/// No number is below zero: `exec` sends none that is, but the agent reaches the socket, too.
fn countable(usage: Usage) -> Usage {
    let Usage { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens } = usage;
    Usage {
        input_tokens: input_tokens.max(0),
        output_tokens: output_tokens.max(0),
        cache_read_tokens: cache_read_tokens.max(0),
        cache_write_tokens: cache_write_tokens.max(0),
    }
}

/// What is wrong with a state that is there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("the state of the conversation cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("the state of the conversation is not valid: {0}")]
    Malformed(serde_json::Error),
    #[error("the state of the conversation was written by attempt {0}, which came after this one")]
    Overtaken(u32),
}

/// Reads the state in `folder`, which is the beginning of a conversation when there is no file.
///
/// # Errors
/// When there is a file that cannot be believed: it is not known then what was dealt with.
pub(crate) fn load(folder: &Path) -> Result<State, StateError> {
    let file = match File::open(folder.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    State::decode(&bytes)
}

/// Writes the state, so that the file is the old one or the new one, whatever happens.
///
/// # Errors
/// When that cannot be done; the file is the old one then.
pub(crate) fn save(folder: &Path, state: &State) -> io::Result<()> {
    let fresh: PathBuf = folder.join(format!("{FILE}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(&state.encode())?;
    file.sync_all()?;
    std::fs::rename(&fresh, folder.join(FILE))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
