//! What survives the pod without a claim: the conversation's state, working directory and home, as one tar stream in
//! the artifact store.
//!
//! A checkpoint is stored whole or not at all: its body ends properly only behind the archive's last byte, and the
//! gateway replaces the attempt's last one only then. It is taken back whole or not at all as well: an archive that
//! is cut off, or that holds what no checkpoint holds, ends the attempt before the agent sees any of it.

mod left_out;
mod pack;
mod stream;
mod unpack;

use std::{io, path::Path, sync::atomic::Ordering, time::Duration};

use drover_api::log::Kind;
use reqwest::{Body, Response, StatusCode};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    Broker, Config, Paths,
    backoff::Backoff,
    config::KeptBy,
    gateway::{Failure, Gateway},
    state::State,
};
use left_out::LeftOut;

/// In the journal's folder once there is nothing to take back: what is there now is this attempt's own work.
const MARKER: &str = "restored";
/// The name of the working directory in a checkpoint.
const WORKSPACE: &str = "workspace";
/// The name of the home in a checkpoint.
const HOME: &str = "home";
/// How long a checkpoint is tried again before the conversation goes on without it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the next bytes of a checkpoint are waited for.
const SILENCE: Duration = Duration::from_secs(30);

/// Stores a checkpoint, if that is how things are kept, or says in log and state what is not kept.
pub(crate) async fn keep(broker: &Broker, gateway: &Gateway, config: &Config) {
    let KeptBy::Checkpoint { most } = config.kept_by else { return };
    let (mut backoff, mut until) = (Backoff::new(), None);
    let not_kept = loop {
        let state = broker.state.borrow().encode();
        let trouble = match store(gateway, &config.paths, state, most).await {
            Ok(left_out) => {
                broker.unkept.store(false, Ordering::Relaxed);
                break left_out.sentence();
            }
            Err(trouble) => trouble,
        };
        tracing::warn!(error = %trouble, "the checkpoint was not stored");
        let wait = match &trouble {
            Trouble::Pack(_) => None,
            // Each try would take the room again from others. The next turn's end tries anew.
            Trouble::Gateway(failure) if failure.status() == Some(StatusCode::INSUFFICIENT_STORAGE) => None,
            Trouble::Gateway(failure) => failure.retry_in(&mut backoff),
        };
        let now = Instant::now();
        match wait {
            Some(wait) if now + wait < *until.get_or_insert(now + PATIENCE) => tokio::time::sleep(wait).await,
            _ => break Some(format!("nothing since the last checkpoint: {trouble}")),
        }
    };
    if let Some(not_kept) = &not_kept {
        broker.log.say(Kind::Error, &format!("not kept for the next attempt: {not_kept}"));
    }
    broker.state.send_modify(|state| state.not_kept = not_kept);
}

/// Why a checkpoint was not stored, as the end of a sentence.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the files cannot be read: {0}")]
    Pack(io::Error),
    #[error("{}", .0.reason())]
    Gateway(Failure),
}

async fn store(gateway: &Gateway, paths: &Paths, state: Vec<u8>, most: u64) -> Result<LeftOut, Trouble> {
    let (sink, body) = stream::sink();
    let (workspace, home) = (paths.workspace.clone(), paths.home.clone());
    let packing = tokio::task::spawn_blocking(move || {
        let (sink, left_out) = pack::pack(sink, &state, &[(WORKSPACE, &workspace), (HOME, &home)], most)?;
        sink.end()?;
        Ok(left_out)
    });
    // The body is gone when this is over, and with it what the packing waits for.
    let put = gateway.put_checkpoint(Body::wrap_stream(body), most).await;
    let packed = packing.await.unwrap_or_else(|_| Err(io::Error::other("packing them failed")));
    match (put, packed) {
        (Ok(()), Ok(left_out)) => Ok(left_out),
        // The gateway did not want the rest, and may well have said why.
        (Err(failure), Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(Trouble::Gateway(failure)),
        (_, Err(error)) => Err(Trouble::Pack(error)),
        (Err(failure), Ok(_)) => Err(Trouble::Gateway(failure)),
    }
}

/// Takes back what the latest earlier attempt stored; `None` when there is nothing to take back, or when that was done
/// before. Over only with an answer of the gateway.
///
/// # Errors
/// A sentence for the user, when the attempt cannot go on.
pub(crate) async fn restore(gateway: &Gateway, config: &Config) -> Result<Option<State>, String> {
    if config.attempt == 1 || config.kept_by == KeptBy::Claim || config.paths.journal.join(MARKER).exists() {
        return Ok(None);
    }
    let mut backoff = Backoff::new();
    loop {
        let failure = match gateway.checkpoint().await {
            Ok(None) => return Ok(None),
            Ok(Some(response)) => match take(response, &config.paths).await? {
                Ok(state) => return Ok(Some(state)),
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        tracing::warn!(error = %failure, "the checkpoint cannot be fetched yet");
        match failure.retry_in(&mut backoff) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(failure.reason()),
        }
    }
}

/// Remembers that nothing is to be taken back any more.
pub(crate) fn taken_back(journal: &Path) -> io::Result<()> {
    std::fs::File::create(journal.join(MARKER))?.sync_all()
}

/// Unpacks a checkpoint as it comes. The outer error is final; the inner one is that of the connection.
async fn take(response: Response, paths: &Paths) -> Result<Result<State, Failure>, String> {
    let (sender, source) = stream::source();
    let (workspace, home) = (paths.workspace.clone(), paths.home.clone());
    let unpacking =
        tokio::task::spawn_blocking(move || unpack::unpack(source, &[(WORKSPACE, &workspace), (HOME, &home)]));
    let pumped = pump(response, sender).await;
    let unpacked = unpacking.await.map_err(|_| "unpacking it failed".to_owned())?;
    match (unpacked, pumped) {
        (Ok(state), _) => Ok(Ok(State::decode(&state).map_err(|error| error.to_string())?)),
        (Err(_), Err(failure)) => Ok(Err(failure)),
        (Err(error), Ok(())) => Err(error.to_string()),
    }
}

/// Hands on what comes, until it is all or nobody wants more.
async fn pump(mut response: Response, sender: mpsc::Sender<bytes::Bytes>) -> Result<(), Failure> {
    loop {
        let chunk = tokio::time::timeout(SILENCE, response.chunk()).await;
        let chunk = chunk.map_err(|_| Failure::NoAnswer("the checkpoint stopped in the middle".to_owned()))??;
        let Some(chunk) = chunk else { return Ok(()) };
        if sender.send(chunk).await.is_err() {
            return Ok(());
        }
    }
}
