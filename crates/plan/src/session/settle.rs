//! What became of a plan's steps.

use std::sync::Arc;

use drover_api::{Session, SessionStatus, state::Reason};
use jiff::Timestamp;

use super::{Plan, status};
use crate::{run::RunnerPod, settings::REFUSED_RETRY};

/// What a step met with. Only answers that the API server meant are receipts; a call that did not get through is an
/// error of the caller's and is tried again.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// Done, or already so.
    Done,
    /// The pod is there: made now, or by this very plan before.
    Pod(Arc<RunnerPod>),
    /// Something else has the pod's name.
    NameTaken(String),
    /// The API server refuses the object.
    Refused {
        /// Its status code.
        code: u16,
        /// Its words.
        message: String,
    },
}

/// The code of an object that can never be accepted as it is.
const UNPROCESSABLE: u16 = 422;

impl Plan {
    /// The status that is true after the steps met with `receipts`, and when to look again.
    #[must_use]
    pub fn settle(self, session: &Session, receipts: &[Receipt], now: Timestamp) -> (SessionStatus, Option<Timestamp>) {
        let current = || session.status.clone().unwrap_or_default();
        match receipts.last() {
            Some(Receipt::NameTaken(name)) => {
                let message = format!(
                    "The name of the Session's pod, {name}, is taken by a pod that is not Drover's: delete that pod and create the Session anew."
                );
                (status::failed(session, current(), Reason::PodNameTaken, &message, now), None)
            }
            Some(Receipt::Refused { code: UNPROCESSABLE, message }) => {
                let message = format!("The API server refuses the Session's pod as it is written: {message}");
                (status::failed(session, current(), Reason::InvalidPod, &message, now), None)
            }
            Some(Receipt::Refused { message, .. }) => {
                let message = format!("The API server refuses the Session's pod for now; it is tried again: {message}");
                (status::refused(session, current(), &message, now), Some(now + REFUSED_RETRY))
            }
            Some(Receipt::Done | Receipt::Pod(_)) | None => (self.status, self.wake),
        }
    }
}
