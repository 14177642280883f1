//! Attends a Session from its creation to its end: watches its state and prints its log, both at once.

use std::time::Duration;

use drover_api::{Session, log::EventId, state::Phase};
use futures::pin_mut;
use kube::ResourceExt;
use tokio::sync::oneshot;

use crate::{
    cluster::Cluster,
    commands::{
        logs,
        progress::{self, Progress},
        spelled,
        watch::{Seen, Watch},
    },
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
    let watch = until_end(cluster, session, terminal, started);
    let layout = if output.format().is_some() { Layout::Aside } else { Layout::Apart };
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

/// Tells of the Session's changes until nothing more will happen. `started` is told once there may be a log.
async fn until_end(
    cluster: &Cluster,
    session: &Session,
    terminal: &Terminal,
    started: oneshot::Sender<()>,
) -> anyhow::Result<Ending> {
    let name = spelled(cluster, &session.name_any());
    let mut started = Some(started);
    let mut watch = Watch::new(cluster, session);
    let mut progress = Progress::new(terminal);
    loop {
        let session = match watch.next().await? {
            Seen::Session(session) => session,
            Seen::Deleted => return Ok(Ending::Deleted),
            Seen::OutOfSight(why) => {
                progress.tell(why);
                continue;
            }
        };
        let status = session.status.clone().unwrap_or_default();
        if status.phase != Phase::Pending
            && let Some(started) = started.take()
        {
            // Nobody listens when the log was given up already.
            let _ = started.send(());
        }
        if status.phase.is_finished() {
            return Ok(Ending::Finished(session));
        }
        progress.stands(&session, &name);
        if progress::is_stalled(&status) {
            return Ok(Ending::Stalled(session));
        }
    }
}
