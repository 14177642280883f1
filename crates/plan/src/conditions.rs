//! Conditions: the only place where one is made.

use drover_api::names::condition;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{session::text::bounded, settings::MAX_CONDITION_MESSAGE};

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows.
    Unknown,
}

impl Is {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Writes conditions of one object at one time.
pub struct Conditions<'a> {
    list: &'a mut Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl<'a> Conditions<'a> {
    /// Writes into `list` for the given generation of the object.
    pub fn new(list: &'a mut Vec<Condition>, generation: Option<i64>, now: Timestamp) -> Self {
        Self { list, generation, now }
    }

    /// Sets a condition. The time of its transition stays when its status does.
    pub fn set(&mut self, type_: &str, status: Is, reason: &str, message: &str) -> &mut Self {
        let existing = self.list.iter_mut().find(|c| c.type_ == type_);
        let since = existing.as_ref().filter(|c| c.status == status.as_str()).map(|c| c.last_transition_time.clone());
        let condition = Condition {
            type_: type_.to_owned(),
            status: status.as_str().to_owned(),
            reason: reason.to_owned(),
            message: bounded(message, MAX_CONDITION_MESSAGE),
            observed_generation: self.generation,
            last_transition_time: since.unwrap_or(Time(self.now)),
        };
        match existing {
            Some(existing) => *existing = condition,
            None => self.list.push(condition),
        }
        self
    }

    /// Removes a condition that has nothing to say.
    pub fn clear(&mut self, type_: &str) -> &mut Self {
        self.list.retain(|c| c.type_ != type_);
        self
    }

    /// The object can be run as written, and policy lets it run.
    pub fn accepted(&mut self) -> &mut Self {
        self.set(condition::ACCEPTED, Is::True, "Accepted", "The Session can be run as written.")
            .set(condition::ADMITTED, Is::True, "Admitted", "No policy holds the Session back.")
            .clear(condition::RECONCILING)
            .clear(condition::STALLED)
    }
}

#[cfg(test)]
mod tests;
