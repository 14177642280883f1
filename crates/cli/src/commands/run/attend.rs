//! Attends a Session from its creation to its end: watches its state and prints its log, both at once.

use std::time::Duration;

use anyhow::anyhow;
use drover_api::{Session, log::EventId, state::Phase};
use futures::{StreamExt, pin_mut};
use kube::{
    Api, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, watch_object},
    },
};
use tokio::sync::oneshot;

use super::progress;
use crate::{
    cluster::{self, Cluster, explain},
    commands::{logs, spelled},
    gateway::{self, Gateway, client::SessionRef},
    output::{
        OutputArgs, Terminal,
        log::{Layout, LogPrinter},
    },
};

/// How long the rest of the log may take after the Session has ended.
const LOG_LIMIT: Duration = Duration::from_secs(30);

/// How attending a Session ends.
pub(super) enum Ending {
    /// It has ended.
    Finished(Box<Session>),
    /// It waits for a change of its spec.
    Stalled(Box<Session>),
    /// It is gone.
    Deleted,
}

/// Tells what happens to `session` until nothing more will. Trouble with the log is told, and is no error.
pub(super) async fn attend(
    cluster: &Cluster,
    session: &Session,
    output: OutputArgs,
    terminal: &Terminal,
) -> anyhow::Result<Ending> {
    let name = session.name_any();
    let (started, start) = oneshot::channel();
    let watch = Watch { cluster, session, terminal, started: Some(started), told: String::new() }.until_end();
    let layout = if output.is_json() { Layout::Aside } else { Layout::Apart };
    let log = async {
        match start.await {
            Ok(()) => show_log(cluster, &name, layout, terminal).await,
            Err(_) => Ok(()),
        }
    };
    pin_mut!(watch, log);
    let mut log_ended = false;
    let ending = loop {
        tokio::select! {
            ending = &mut watch => break ending?,
            result = &mut log, if !log_ended => {
                result?;
                log_ended = true;
            }
        }
    };
    if let Ending::Finished(session) = &ending {
        if !log_ended {
            match tokio::time::timeout(LOG_LIMIT, log).await {
                Ok(result) => result?,
                Err(_) => terminal.note(&format!(
                    "the end of the log did not come in time; see it with: kubectl drover logs {}",
                    spelled(cluster, &name)
                )),
            }
        }
        terminal.note(&progress::line(session, terminal.err_palette()));
    }
    Ok(ending)
}

/// Prints the log to its end; what goes wrong between here and the gateway is told once.
async fn show_log(cluster: &Cluster, name: &str, layout: Layout, terminal: &Terminal) -> anyhow::Result<()> {
    let session = SessionRef { namespace: &cluster.namespace, name };
    let mut printer = LogPrinter::new(terminal, layout, false);
    let shown = async {
        let gateway = Gateway::open(cluster).await?;
        logs::follow(&gateway, session, EventId::START, terminal, |events| printer.print(&events)).await
    };
    match shown.await {
        Err(error) if error.is::<gateway::Error>() => {
            terminal.note(&format!(
                "the log cannot be shown: {error}; to try again: kubectl drover logs {}",
                spelled(cluster, name)
            ));
            Ok(())
        }
        result => result,
    }
}

/// The state of one Session as it changes.
struct Watch<'a> {
    cluster: &'a Cluster,
    session: &'a Session,
    terminal: &'a Terminal,
    /// Told once, when there may be a log.
    started: Option<oneshot::Sender<()>>,
    /// The last line of progress.
    told: String,
}

impl Watch<'_> {
    async fn until_end(mut self) -> anyhow::Result<Ending> {
        let api: Api<Session> = Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace);
        let name = self.session.name_any();
        let changes = watch_object(api.clone(), &name).default_backoff();
        pin_mut!(changes);
        while let Some(change) = changes.next().await {
            let ending = match change {
                Ok(Some(session)) => self.see(session),
                // An empty answer may come from a stale cache: only a read tells whether it is gone.
                Ok(None) => match api.get_opt(&name).await {
                    Ok(Some(session)) => self.see(session),
                    Ok(None) => Some(Ending::Deleted),
                    Err(error) => self.endure(&watcher::Error::WatchFailed(error))?,
                },
                Err(error) => self.endure(&error)?,
            };
            if let Some(ending) = ending {
                return Ok(ending);
            }
        }
        Err(anyhow!("the Session cannot be watched any more"))
    }

    /// Tells of a change; gives back the ending if it is one.
    fn see(&mut self, session: Session) -> Option<Ending> {
        if session.uid() != self.session.uid() {
            return Some(Ending::Deleted);
        }
        let status = session.status.clone().unwrap_or_default();
        if status.phase != Phase::Pending
            && let Some(started) = self.started.take()
        {
            // Nobody listens when the log was given up already.
            let _ = started.send(());
        }
        if status.phase.is_finished() {
            return Some(Ending::Finished(Box::new(session)));
        }
        self.tell(progress::line(&session, self.terminal.err_palette()));
        progress::is_stalled(&status).then(|| Ending::Stalled(Box::new(session)))
    }

    /// Goes on after an error that may pass; what the API server refuses is final.
    fn endure(&mut self, error: &watcher::Error) -> anyhow::Result<Option<Ending>> {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => {
                if cluster::is_forbidden(error) {
                    return Err(anyhow!(explain(error)));
                }
                self.tell(format!("the Session is out of sight, trying again: {}", explain(error)));
            }
            // Bookkeeping of the watch, which begins anew by itself.
            watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => {}
        }
        Ok(None)
    }

    fn tell(&mut self, line: String) {
        if line != self.told {
            self.terminal.note(&line);
            self.told = line;
        }
    }
}
