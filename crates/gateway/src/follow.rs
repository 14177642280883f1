//! Following a log: reading on in the store, and finding out when nothing more will come.
//!
//! A log goes on over all attempts of its Session, and while the Session waits or is suspended, until the Session is
//! finished and its last pod can say nothing more. That a broker said it was done is only a reason to look sooner: it
//! may find that there is more, for instance when it is asked to stop before its agent is dead.
//!
//! While nothing new comes, a follower looks for the next chunk by its name, and only from time to time at the Session
//! and at everything that is stored. It holds one page of events at most.

use std::{sync::Arc, time::Duration};

use drover_api::{
    Session, SessionStatus,
    log::{Event, EventId},
};
use drover_store::{Look, Page, Run};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::time::Instant;

use crate::{api::Target, app::Gateway, auth::pod::is_terminal, problem::Problem};

/// How often the store is looked at.
const POLL: Duration = Duration::from_millis(300);
/// How often the Session is looked at while its run goes on.
const SESSION_SLOW: Duration = Duration::from_secs(3);
/// The pause before the Session is looked at again once the end of an attempt was seen; it doubles each time.
const SESSION_FAST: Duration = Duration::from_millis(300);
/// How many bytes of events are read at once.
const PAGE: usize = 256 * 1024;
/// How long one stream goes on. Who follows longer asks again, and must then still have the right to.
const LONGEST: Duration = Duration::from_secs(1800);
/// A broker has this long to hand in its log after the end of its Session: the grace time of its pod, and a while.
const STRAGGLERS: SignedDuration = SignedDuration::from_secs(130);

/// What comes next in a log.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Events, at least one.
    Events(Vec<Event>),
    /// Nothing more will come. Not complete when the Session was deleted.
    End { complete: bool },
    /// The stream ends here, but the log may go on.
    Stop,
    /// The log cannot be read any further at the moment.
    Failed(Problem),
}

/// Somebody who reads a log, and where they stand.
pub(crate) struct Follower {
    gateway: Arc<Gateway>,
    target: Target,
    run: Run,
    /// As it was when it was looked at last.
    session: Session,
    after: EventId,
    started: Instant,
    /// The last attempt whose end was seen.
    ended: Option<u32>,
    look: Look,
    session_due: Instant,
    pause: Duration,
}

impl Follower {
    pub(crate) fn new(gateway: Arc<Gateway>, target: Target, session: Session, run: Run, after: EventId) -> Self {
        let now = Instant::now();
        Self {
            gateway,
            target,
            run,
            session,
            after,
            started: now,
            ended: None,
            look: Look::Thorough,
            session_due: now,
            pause: SESSION_FAST,
        }
    }

    /// What is stored now, and whether it is all that will ever be.
    pub(crate) async fn page(&mut self, limit: usize) -> Result<(Page, bool), Problem> {
        let mut page = self.read(Look::Thorough, limit).await?;
        if page.more || !self.is_over().await? {
            return Ok((page, false));
        }
        // What was stored between the look at the log and the one at the pod.
        let rest = self.read(Look::Thorough, limit).await?;
        let complete = !rest.more;
        page.events.extend(rest.events);
        page.next = rest.next;
        Ok((page, complete))
    }

    /// What is there already of what comes next; `None` when it must be waited for.
    pub(crate) async fn first_step(&mut self) -> Result<Option<Step>, Problem> {
        // What has not begun yet begins with the first attempt, so that its first chunk is found by its name.
        self.after = self.after.max(EventId { attempt: 1, sequence: 0 });
        self.advance().await
    }

    /// Waits for what comes next, after the [first step](Self::first_step).
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            if self.gateway.stopping.is_cancelled() || self.started.elapsed() > LONGEST {
                return Step::Stop;
            }
            match self.advance().await {
                Ok(Some(step)) => return step,
                Ok(None) => {}
                Err(problem) => return Step::Failed(problem),
            }
            self.gateway.stopping.run_until_cancelled(tokio::time::sleep(POLL)).await;
        }
    }

    async fn advance(&mut self) -> Result<Option<Step>, Problem> {
        let page = self.read(self.look, PAGE).await?;
        self.look = Look::Next;
        if !page.events.is_empty() {
            return Ok(Some(Step::Events(page.events)));
        }
        if Instant::now() < self.session_due {
            return Ok(None);
        }
        // The end of an attempt announces that of the Session, so that is looked for more often for a while.
        self.pause = if page.ended.is_some() { (self.pause * 2).min(SESSION_SLOW) } else { SESSION_SLOW };
        self.session_due = Instant::now() + self.pause;
        let end = match self.target.find(&self.gateway).await? {
            Some(session) if session.metadata.uid == self.session.metadata.uid => {
                self.session = session;
                self.is_over().await?.then_some(Step::End { complete: true })
            }
            _ => Some(Step::End { complete: false }),
        };
        let page = self.read(Look::Thorough, PAGE).await?;
        if !page.events.is_empty() {
            // There may be more, and who reads it all must look again for the end.
            (self.look, self.session_due) = (Look::Thorough, Instant::now());
            return Ok(Some(Step::Events(page.events)));
        }
        Ok(end)
    }

    async fn read(&mut self, look: Look, limit: usize) -> Result<Page, Problem> {
        let reading = self.gateway.reads.acquire().await;
        let page = self.gateway.store.events_after(&self.run, self.after, limit, look).await?;
        drop(reading);
        self.after = page.next;
        if page.ended.is_some() && page.ended != self.ended {
            (self.ended, self.pause, self.session_due) = (page.ended, SESSION_FAST, Instant::now());
        }
        Ok(page)
    }

    /// Whether nothing more will be stored: the Session has ended, and so has its last pod.
    async fn is_over(&self) -> Result<bool, Problem> {
        let Some(status) = self.session.status.as_ref().filter(|status| status.phase.is_finished()) else {
            return Ok(false);
        };
        match silence(status, Timestamp::now()) {
            Silence::Certain => Ok(true),
            Silence::OncePodEnded { name, uid } => {
                let pods = Api::<Pod>::namespaced(self.gateway.client.clone(), &self.target.namespace);
                let pod = pods.get_opt(name).await.map_err(|error| Problem::kubernetes(&error))?;
                Ok(pod.is_none_or(|pod| pod.metadata.uid.as_deref() != Some(uid) || is_terminal(&pod)))
            }
        }
    }
}

/// When the broker of a finished Session says nothing more.
#[derive(Debug, PartialEq, Eq)]
enum Silence<'a> {
    /// Already now.
    Certain,
    /// When its pod has ended or is gone.
    OncePodEnded { name: &'a str, uid: &'a str },
}

fn silence(status: &SessionStatus, now: Timestamp) -> Silence<'_> {
    let grace_over = status.finished_at.as_ref().is_some_and(|time| now.duration_since(time.0) > STRAGGLERS);
    let pod = status.pod.as_ref().and_then(|pod| Some((pod.name.as_str(), pod.uid.as_deref()?)));
    match pod {
        Some((name, uid)) if !grace_over => Silence::OncePodEnded { name, uid },
        _ => Silence::Certain,
    }
}

#[cfg(test)]
mod tests;
