//! What became of a plan's steps.

use std::{sync::Arc, time::Duration};

use drover_api::{Session, SessionStatus, state::Reason};
use jiff::Timestamp;

use super::{Moment, Plan, status};
use crate::{
    run::RunnerPod,
    settings::{LONGEST_REFUSED_RETRY, REFUSED_RETRY, Settings},
    time::after,
};

/// What a step met with. Only answers that the API server meant are receipts; a call that did not get through is an
/// error of the caller's and is tried again.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// Done, or already so.
    Done,
    /// The pod is there: made now, or by this very plan before.
    Pod(Arc<RunnerPod>),
    /// Something else has the name of the pod or claim.
    NameTaken(String),
    /// The API server refuses the object.
    Refused {
        /// It can never be accepted as it is written: fields of it are not valid.
        for_good: bool,
        /// Its words.
        message: String,
    },
}

impl Plan {
    /// The status that is true after the steps met with `receipts`, and when to look again.
    #[must_use]
    pub fn settle(
        self,
        session: &Session,
        settings: &Settings,
        receipts: &[Receipt],
        now: Timestamp,
    ) -> (SessionStatus, Option<Timestamp>) {
        let at = Moment { session, settings, now };
        let current = session.status.clone().unwrap_or_default();
        let (status, wake) = match receipts.last() {
            Some(Receipt::NameTaken(name)) => {
                let message = format!(
                    "The name {name}, which the Session needs, is taken by an object that is not Drover's: delete that object and create the Session anew."
                );
                (status::failed(at, current.clone(), Reason::PodNameTaken, &message), None)
            }
            Some(Receipt::Refused { for_good: true, message }) => {
                let message = format!("The API server refuses the Session's pod as it is written: {message}");
                (status::failed(at, current.clone(), Reason::InvalidPod, &message), None)
            }
            Some(Receipt::Refused { for_good: false, message }) => {
                let message = format!("The API server refuses the Session's pod for now; it is tried again: {message}");
                (status::refused(at, current.clone(), &message), Some(after(now, pause(session, now))))
            }
            Some(Receipt::Done | Receipt::Pod(_)) | None => (self.status, self.wake),
        };
        (status::noted(&current, status, now), wake)
    }
}

/// How long to wait before what was refused is tried again: longer for a Session that has waited long, and a little
/// different for each, so that many do not come together.
fn pause(session: &Session, now: Timestamp) -> Duration {
    let created = session.metadata.creation_timestamp.as_ref().map_or(now, |created| created.0);
    let waited = Duration::try_from(now.duration_since(created)).unwrap_or_default();
    let spread = session.metadata.uid.iter().flat_map(|uid| uid.bytes()).map(u32::from).sum::<u32>() % 25;
    (waited / 4).clamp(REFUSED_RETRY, LONGEST_REFUSED_RETRY) * (100 + spread) / 100
}
