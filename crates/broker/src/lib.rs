//! The broker: the sidecar of a runner pod that speaks to the gateway for the agent.
//!
//! It alone holds the pod's token. It fetches what the agent is told, stores the agent's log and artifacts, and makes
//! the report. `exec`, in the agent's container, reaches it over a Unix socket; [`drover_api::runner`] is the protocol
//! of both sides.
//!
//! What holds whatever happens:
//! - The log has no gap and no event twice. `exec` keeps a line until the broker took it, the broker keeps an event in
//!   its `journal` until the gateway stored it, and both sides count, so a broker that is killed and started again
//!   goes on where it was.
//! - Memory is bounded. When the gateway is away the log's buffer fills and the agent's next write waits.
//! - Files leave only from beneath the workspace, and links are never followed.
//! - After SIGTERM the broker exits at once when nothing is unsent, else within `finish::GRACE`.
//!
//! The agent reaches the socket as `exec` does. Over it an agent can add lines of any kind to the log of its own run,
//! lines that look like Drover's among them; leave gaps in `exec`'s lines by counting wrongly; and ask for the end
//! early, which stores what is there and ends nothing: when output follows, all is collected once more. It reaches
//! neither the journal nor the token, and no other run.

mod artifacts;
mod backoff;
mod config;
mod finish;
mod gateway;
mod journal;
mod log;
mod socket;
mod text;

pub use config::{Config, ConfigError, Paths};

use std::{io, sync::Arc, time::Duration};

use drover_api::{report::Report, runner::PROMPT_ID};
use tokio::{sync::watch, time::Instant};

use backoff::{Backoff, SLOW};
use gateway::{Failure, Gateway};
use log::Log;

/// Why the broker cannot work at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client for the gateway cannot be made.
    #[error("the client for the gateway cannot be made from DROVER_GATEWAY_CA: {0}")]
    Client(#[from] reqwest::Error),
    /// The socket for `exec` cannot be served.
    #[error("the socket {path} cannot be served: {source}")]
    Socket {
        /// Where the socket should be.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// What the parts of one broker share.
struct Broker {
    log: Log,
    /// The prompt, once the gateway said it.
    prompt: watch::Sender<Option<String>>,
    /// Somebody began to run the agent, so its end has to be reported.
    started: watch::Sender<bool>,
    /// Somebody asked for the end.
    finish: watch::Sender<bool>,
    /// The last report, once one was made.
    made: watch::Sender<Option<Made>>,
    /// When SIGTERM came.
    stopping: watch::Sender<Option<Instant>>,
}

/// A report that says all is stored.
#[derive(Clone, Debug)]
struct Made {
    report: Report,
    /// How many lines of `exec` were taken before it was begun.
    taken: u64,
}

impl Broker {
    /// The report, if one was made after all that `exec` said so far.
    fn made(&self) -> Option<Report> {
        let taken = self.log.taken();
        self.made.borrow().as_ref().filter(|made| made.taken >= taken).map(|made| made.report.clone())
    }

    /// Asks for the end, and gives the report once there is one that was made after all that `exec` said so far.
    async fn finished(&self) -> Option<Report> {
        if let Some(report) = self.made() {
            return Some(report);
        }
        let taken = self.log.taken();
        self.finish.send_replace(true);
        let mut made = self.made.subscribe();
        let covers = |made: &Option<Made>| made.as_ref().is_some_and(|made| made.taken >= taken);
        made.wait_for(covers).await.ok().and_then(|made| made.as_ref().map(|made| made.report.clone()))
    }
}

/// Serves one pod until `terminate` is over and everything is sent, or its time is up.
///
/// # Errors
/// When the client cannot be made or the socket cannot be served. Trouble with the gateway is no error: it is waited
/// for.
pub async fn run(config: Config, terminate: impl Future<Output = ()>) -> Result<(), Error> {
    let gateway = Gateway::new(&config)?;
    let log = Log::open(config.attempt, &config.paths.journal);
    let started = log.taken() > 0;
    let broker = Arc::new(Broker {
        log,
        prompt: watch::Sender::new(None),
        started: watch::Sender::new(started),
        finish: watch::Sender::new(false),
        made: watch::Sender::new(None),
        stopping: watch::Sender::new(None),
    });
    let path = config.paths.socket();
    let socket_error = |source| Error::Socket { path: path.display().to_string(), source };
    let listener = socket::bind(&path).map_err(socket_error)?;
    tracing::info!(socket = %path.display(), attempt = config.attempt, "the broker serves");

    let work = async {
        tokio::join!(
            fetch_prompt(&gateway, &broker.prompt),
            broker.log.send_to(&gateway),
            finish::when_asked(&broker, &gateway, &config),
        );
        std::future::pending().await
    };
    tokio::select! {
        () = lifetime(&broker, terminate) => Ok(()),
        served = socket::serve(listener, Arc::clone(&broker)) => served.map_err(socket_error),
        ended = work => ended,
    }
}

/// Over when the process may exit.
async fn lifetime(broker: &Broker, terminate: impl Future<Output = ()>) {
    terminate.await;
    let now = Instant::now();
    broker.stopping.send_replace(Some(now));
    if broker.made().is_some() || !*broker.started.borrow() {
        tracing::info!("asked to stop with nothing unsent");
        return;
    }
    tracing::info!("asked to stop; what is unsent goes first");
    if tokio::time::timeout_at(now + finish::GRACE, broker.finished()).await.is_err() {
        tracing::error!("stopped before everything was sent");
    }
}

/// Asks for the messages until the gateway says them.
async fn fetch_prompt(gateway: &Gateway, prompt: &watch::Sender<Option<String>>) {
    let mut backoff = Backoff::new();
    loop {
        let wait = match gateway.messages().await {
            Ok(messages) => match messages.messages.into_iter().find(|message| message.id == PROMPT_ID) {
                Some(message) => {
                    prompt.send_replace(Some(message.text));
                    return;
                }
                None => {
                    tracing::warn!("the gateway's messages hold no prompt; asking again");
                    SLOW
                }
            },
            Err(failure) => {
                tracing::warn!(error = %failure, "the messages cannot be fetched yet");
                prompt_retry(&failure, &mut backoff)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// When to ask again: a refusal can still end, for instance when the kubelet renews the token.
fn prompt_retry(failure: &Failure, backoff: &mut Backoff) -> Duration {
    failure.retry_in(backoff).unwrap_or(SLOW)
}
