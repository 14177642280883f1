//! What was said, and what of it the agent has dealt with.

use drover_api::{
    Session, SessionStatus,
    report::{MAX_QUESTION, MAX_RESULT, MAX_TURNS, Report, Turn},
    session::{Question, SessionMessage, consumed_entry},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::text::bounded;

/// How many ids of messages that were dealt with are remembered.
const MAX_CONSUMED: usize = 1024;

/// Whether a message is there that no turn has dealt with. The prompt does not count: an agent that ended has had it.
pub(super) fn has_pending(session: &Session, status: &SessionStatus) -> bool {
    session.spec.messages.iter().any(|message| is_pending(message, status))
}

fn is_pending(message: &SessionMessage, status: &SessionStatus) -> bool {
    !status.consumed.contains(&consumed_entry(&message.id))
}

/// Since when the agent waits for a message that is not there.
pub(super) fn idle_since(session: &Session, status: &SessionStatus) -> Option<Timestamp> {
    status.waiting_since.as_ref().map(|since| since.0).filter(|_| !has_pending(session, status))
}

/// Takes what a report says of the conversation into the status.
pub(super) fn fold(status: &mut SessionStatus, report: &Report) {
    report.turns.iter().for_each(|turn| add_turn(status, turn));
    for entry in &report.consumed {
        remember(status, entry);
    }
    status.waiting_since = report.waiting.as_ref().map(|waiting| waiting.since.clone());
    let asked = report.waiting.as_ref().and_then(|waiting| Some((waiting.question.as_deref()?, &waiting.since)));
    status.question = asked.zip(report.turns.last()).map(|((text, since), turn)| Question {
        text: bounded(text, MAX_QUESTION),
        message: turn.message.clone(),
        asked_at: Time(since.0),
    });
}

/// Remembers that a message was dealt with; says whether that is news.
fn remember(status: &mut SessionStatus, entry: &str) -> bool {
    let news = !status.consumed.iter().any(|known| known == entry);
    if news {
        push_within(&mut status.consumed, entry.to_owned(), MAX_CONSUMED);
    }
    news
}

fn add_turn(status: &mut SessionStatus, turn: &Turn) {
    if !remember(status, &consumed_entry(&turn.message)) {
        return;
    }
    let turn = Turn { result: bounded(&turn.result, MAX_RESULT), ..turn.clone() };
    push_within(&mut status.turns, turn, MAX_TURNS);
}

/// Adds to a ring of at most `most` elements.
pub(super) fn push_within<T>(ring: &mut Vec<T>, element: T, most: usize) {
    if ring.len() >= most {
        ring.drain(..=ring.len() - most);
    }
    ring.push(element);
}
