//! One Session as it changes, whatever happens to the connection meanwhile.

use anyhow::{anyhow, bail};
use drover_api::Session;
use futures::{StreamExt, stream::BoxStream};
use kube::{
    Api, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, watch_object},
    },
};

use super::{progress::Progress, spelled};
use crate::{
    cluster::{self, Cluster, explain},
    output::Terminal,
};

/// What is seen of a Session.
pub(crate) enum Seen {
    /// How it is now.
    Session(Box<Session>),
    /// It is gone, or another one has its name.
    Deleted,
    /// It cannot be seen at present, in words for the user; it may be again.
    OutOfSight(String),
}

/// Watches one Session.
pub(crate) struct Watch {
    api: Api<Session>,
    name: String,
    uid: Option<String>,
    changes: BoxStream<'static, watcher::Result<Option<Session>>>,
}

impl Watch {
    /// Watches `session`, and no other that has its name later.
    pub(crate) fn new(cluster: &Cluster, session: &Session) -> Self {
        let (api, name) = (cluster.sessions(), session.name_any());
        let changes = watch_object(api.clone(), &name).default_backoff().boxed();
        Self { api, name, uid: session.uid(), changes }
    }

    /// What is seen next. An error is final: what the API server refuses.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Seen> {
        while let Some(change) = self.changes.next().await {
            let session = match change {
                Ok(Some(session)) => Some(session),
                // An empty answer may come from a stale cache: only a read tells whether it is gone.
                Ok(None) => match self.api.get_opt(&self.name).await {
                    Ok(session) => session,
                    Err(error) => return endure(&error),
                },
                Err(
                    watcher::Error::InitialListFailed(error)
                    | watcher::Error::WatchStartFailed(error)
                    | watcher::Error::WatchFailed(error),
                ) => return endure(&error),
                // Bookkeeping of the watch, which begins anew by itself.
                Err(watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion) => continue,
            };
            return Ok(match session {
                Some(session) if session.uid() == self.uid => Seen::Session(Box::new(session)),
                _ => Seen::Deleted,
            });
        }
        Err(anyhow!("the Session cannot be watched any more"))
    }
}

/// Goes on after an error that may pass; what the API server refuses is final.
fn endure(error: &kube::Error) -> anyhow::Result<Seen> {
    if cluster::is_forbidden(error) {
        bail!(explain(error));
    }
    Ok(Seen::OutOfSight(format!("the Session is out of sight, trying again: {}", explain(error))))
}

/// Waits until `until` finds in the Session what was waited for, and tells on the way where the Session stands.
pub(crate) async fn wait<T>(
    cluster: &Cluster,
    session: &Session,
    terminal: &Terminal,
    mut until: impl FnMut(&Session) -> Option<T>,
) -> anyhow::Result<T> {
    let name = spelled(cluster, &session.name_any());
    let mut watch = Watch::new(cluster, session);
    let mut progress = Progress::new(terminal);
    loop {
        match watch.next().await? {
            Seen::Session(session) => match until(&session) {
                Some(found) => return Ok(found),
                None => progress.stands(&session, &name),
            },
            Seen::Deleted => bail!("the Session was deleted meanwhile"),
            Seen::OutOfSight(why) => progress.tell(why),
        }
    }
}
