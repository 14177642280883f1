//! The broker: the sidecar of a runner pod that speaks to the gateway for the agent.
//!
//! It alone holds the pod's token. It fetches what the agent is told (`conversation`), keeps what survives the pod
//! (`state`, `checkpoint`), stores the agent's `log` and `artifacts`, makes the `reports`, and ends the agent
//! when the gateway cannot be reached or says so (`heartbeat`). `exec`, in the agent's container, reaches it over a Unix socket; [`drover_api::runner`] is the protocol
//! of both sides.
//!
//! What holds whatever happens:
//! - The log has no gap and no event twice. `exec` keeps a line until the broker took it, the broker keeps an event in
//!   its `journal` until the gateway stored it, and both sides count, so a broker that is killed and started again
//!   goes on where it was.
//! - Memory is bounded. When the gateway is away the log's buffer fills and the agent's next write waits.
//! - Files leave only from beneath working directory and home, and links are never followed.
//! - After SIGTERM the broker exits at once when nothing is unsent, else within `finish::GRACE`.
//!
//! The agent reaches the socket as `exec` does. Over it an agent can add lines of any kind to the log of its own run,
//! lines that look like Drover's among them; leave gaps in `exec`'s lines by counting wrongly; and ask for the end
//! early, which stores what is there and ends nothing: when output follows, all is collected once more. It can say that
//! its own turn has ended. It reaches neither journal, state nor token, and no other run.

mod artifacts;
mod backoff;
mod beneath;
mod checkpoint;
mod config;
mod conversation;
mod finish;
mod gateway;
mod heartbeat;
mod journal;
mod log;
mod reports;
mod socket;
mod state;
mod text;

pub use config::{Config, ConfigError, KeptBy, Paths};

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use drover_api::{report::Report, runner::Termination, state::Reason};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use conversation::Asked;
use gateway::Gateway;
use heartbeat::Heard;
use log::Log;
use reports::Reports;
use state::{State, StateError};

/// How many requests of `exec` wait for their turn.
const ASKED: usize = 8;

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
    /// What is known of the conversation. Only `conversation` changes its turns.
    state: watch::Sender<State>,
    /// The agent may have done something since the last checkpoint.
    unkept: AtomicBool,
    reports: Reports,
    /// What `exec` wants of the conversation.
    asked: mpsc::Sender<Asked>,
    /// Somebody began to run the agent, so its end has to be reported.
    started: watch::Sender<bool>,
    /// Why the agent has to end, once it has to.
    ended: watch::Sender<Option<Termination>>,
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
    /// Goes on where a broker before this one left off.
    fn open(config: &Config, asked: mpsc::Sender<Asked>) -> Self {
        let log = Log::open(config.attempt, &config.paths.journal);
        let (state, trouble) = match open_state(config) {
            Ok(state) => (state, None),
            Err(error) => (State::default(), Some(error)),
        };
        let broker = Self {
            started: watch::Sender::new(log.taken() > 0 || state.handed_out),
            unkept: AtomicBool::new(state.handed_out),
            reports: Reports::new(state.reports),
            log,
            state: watch::Sender::new(state),
            asked,
            ended: watch::Sender::new(None),
            finish: watch::Sender::new(false),
            made: watch::Sender::new(None),
            stopping: watch::Sender::new(None),
        };
        if let Some(error) = trouble {
            let message = format!("it is not known what was dealt with before: {error}");
            broker.end_agent(&config.paths, Termination { reason: Reason::RestoreFailed, message });
        }
        broker
    }

    /// Has `exec` end the agent, and leaves the reason as the termination message of the broker's container. The first
    /// reason counts.
    fn end_agent(&self, paths: &Paths, termination: Termination) {
        let first = self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert_with(|| termination.clone());
            first
        });
        if !first {
            return;
        }
        tracing::error!(reason = %termination.reason, message = termination.message, "the agent has to end");
        let written = serde_json::to_vec(&termination).map_err(io::Error::from);
        if let Err(error) = written.and_then(|message| std::fs::write(&paths.termination_log, message)) {
            tracing::warn!(%error, "the termination message cannot be written");
        }
    }

    /// Over once the agent has to end, or the pod.
    async fn over(&self) {
        let (mut ended, mut stopping) = (self.ended.subscribe(), self.stopping.subscribe());
        tokio::select! {
            // Cannot fail: this holds the senders.
            _ = ended.wait_for(Option::is_some) => {}
            _ = stopping.wait_for(Option::is_some) => {}
        }
    }

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
    let (asks, asked) = mpsc::channel(ASKED);
    let broker = Arc::new(Broker::open(&config, asks));
    let path = config.paths.socket();
    let socket_error = |source| Error::Socket { path: path.display().to_string(), source };
    let listener = socket::bind(&path).map_err(socket_error)?;
    tracing::info!(socket = %path.display(), attempt = config.attempt, "the broker serves");

    let work = async {
        tokio::join!(
            converse(&broker, &gateway, &config, asked),
            live(&broker, &gateway, &config),
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

/// Leads the conversation until the agent has to end.
async fn converse(broker: &Broker, gateway: &Gateway, config: &Config, asked: mpsc::Receiver<Asked>) {
    tokio::select! {
        biased;
        () = broker.over() => {}
        () = conversation::lead(broker, gateway, config, asked) => {}
    }
}

/// Tells the gateway that the broker lives, and ends the agent when that is of no use any more.
async fn live(broker: &Broker, gateway: &Gateway, config: &Config) {
    let heard = Heard::beside(&config.paths.journal);
    let beat = async || {
        let sent = heartbeat::uptime();
        gateway.heartbeat().await.inspect(|_| heard.at(sent))
    };
    let termination = heartbeat::until_the_end(beat, config.reporting_patience, heard.silence()).await;
    broker.end_agent(&config.paths, termination);
}

/// The state, as this attempt finds it.
fn open_state(config: &Config) -> Result<State, StateError> {
    let mut state = state::load(&config.paths.state)?;
    state.go_on_in(config.attempt)?;
    Ok(state)
}
