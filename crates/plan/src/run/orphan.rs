//! What becomes of a runner pod whose Session is gone.

use super::pod::RunnerPod;
use crate::session::Step;

/// The next step for a pod that nobody owns: it is stopped, and let go once nothing of it runs.
#[must_use]
pub fn orphan(pod: &RunnerPod) -> Option<Step> {
    let target = || crate::session::PodTarget::of(pod);
    if !pod.deleting {
        return Some(Step::DeletePod { pod: target(), grace: None });
    }
    let finalizer = pod.held.filter(|_| pod.stopped())?;
    Some(Step::ReleasePod { pod: target(), finalizer })
}
