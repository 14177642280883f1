//! What was said, and what of it the agent has dealt with.

use drover_api::{
    Session, SessionStatus,
    report::{MAX_QUESTION, MAX_RESULT, MAX_TURNS, Report, Turn},
    runner::PROMPT_ID,
    session::{Question, consumed_entry, is_consumed_entry, is_message_id},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::text::bounded;

/// How many ids of messages that were dealt with are remembered.
const MAX_CONSUMED: usize = 1024;

/// Whether a message is there that no turn has dealt with. The prompt does not count: an agent that ended has had it.
pub(super) fn has_pending(session: &Session, status: &SessionStatus) -> bool {
    session.spec.messages.iter().any(|message| !status.has_dealt_with(&message.id))
}

/// Since when the agent waits for a message that is not there.
pub(super) fn idle_since(session: &Session, status: &SessionStatus) -> Option<Timestamp> {
    status.waiting_since.as_ref().map(|since| since.0).filter(|_| !has_pending(session, status))
}

/// Takes what a report says of the conversation into the status. What status cannot hold is left out: the gateway takes
/// no such report, but one of another version may, and the API server would refuse every status from then on.
pub(super) fn fold(session: &Session, status: &mut SessionStatus, report: &Report) {
    report.turns.iter().filter(|turn| fits(turn)).for_each(|turn| add_turn(session, status, turn));
    for entry in report.consumed.iter().filter(|entry| is_consumed_entry(entry)) {
        remember(session, status, entry);
    }
    if report.last && report.waiting.is_none() {
        // The last word is about the pod's end. Whether the agent waited until then was said before.
        return;
    }
    status.waiting_since = report.waiting.as_ref().map(|waiting| waiting.since.clone());
    let asked = report.waiting.as_ref().and_then(|waiting| Some((waiting.question.as_deref()?, &waiting.since)));
    status.question = asked.zip(report.turns.last().filter(|turn| fits(turn))).map(|((text, since), turn)| Question {
        text: bounded(text, MAX_QUESTION),
        message: turn.message.clone(),
        asked_at: Time(since.0),
    });
}

/// Remembers that a message was dealt with; says whether that is news.
fn remember(session: &Session, status: &mut SessionStatus, entry: &str) -> bool {
    if status.consumed.iter().any(|known| known == entry) {
        return false;
    }
    if status.consumed.len() >= MAX_CONSUMED {
        forget_one(session, &mut status.consumed);
    }
    push_within(&mut status.consumed, entry.to_owned(), MAX_CONSUMED);
    true
}

/// Forgets the oldest message that the Session does not say any more. One that it says would be delivered again.
fn forget_one(session: &Session, consumed: &mut Vec<String>) {
    let messages = session.spec.messages.iter().map(|message| message.id.as_str());
    let said: Vec<_> = messages.chain([PROMPT_ID]).map(consumed_entry).collect();
    if let Some(oldest) = consumed.iter().position(|entry| !said.contains(entry)) {
        consumed.remove(oldest);
    }
}

/// Whether status can hold a turn.
fn fits(turn: &Turn) -> bool {
    let Turn { message, attempt, started_at: _, finished_at: _, result: _, usage } = turn;
    is_message_id(message) && i32::try_from(*attempt).is_ok() && usage.unwrap_or_default().is_valid()
}

fn add_turn(session: &Session, status: &mut SessionStatus, turn: &Turn) {
    if !remember(session, status, &consumed_entry(&turn.message)) {
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
