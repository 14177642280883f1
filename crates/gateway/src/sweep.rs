//! Sweeps the artifact store: removes the bytes of runs whose Session does not exist any more, or finished longer ago
//! than its `ttlAfterFinished`; and of those that are finished the checkpoints, from which no attempt goes on any more.
//!
//! Nothing is remembered from one pass to the next, so neither a crash nor a time in which the gateway was down loses
//! anything: what is there is compared with what should be. What is stored is listed before the Sessions are: a Session
//! is older than its bytes, so one that came meanwhile has none that were listed. Only what two reads of the Kubernetes
//! API agree on is removed, and a pass ends when one fails: unknown is not absent.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    time::Duration,
};

use drover_api::{Session, SessionStatus};
use drover_k8s::decoded::Decoded;
use drover_store::{Run, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client, Resource,
    api::{ListParams, ObjectList},
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{metrics::SweepMetrics, problem::chain};

/// The first pass begins so long after the start.
const FIRST: Duration = Duration::from_secs(20);
/// The pause after a pass that left some runs to the next.
const SOON: Duration = Duration::from_secs(30);
/// How many runs one pass removes at most.
const RUNS: usize = 500;
/// How many Sessions are listed at once. Each can have more than half a MiB.
const PAGE: u32 = 50;
/// An upload that nobody has written to for so long is taken for abandoned. So often they are looked for, too.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Why a pass ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error("the Sessions cannot be read")]
    Kubernetes(#[from] kube::Error),
    #[error("the artifact store cannot be read")]
    Store(#[from] StoreError),
}

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Runs whose bytes were removed.
    pub(crate) runs: usize,
    /// How many bytes that were.
    pub(crate) bytes: u64,
    /// There is more to do.
    pub(crate) more: bool,
}

/// Why the bytes of a run go.
#[derive(Clone, Copy, Debug)]
enum Why {
    Gone,
    Expired,
    /// Its checkpoints alone.
    Finished,
}

/// Sweeps a store.
pub(crate) struct Sweeper {
    client: Client,
    store: Store,
    folder: PathBuf,
    metrics: SweepMetrics,
    runs: usize,
    page: u32,
}

impl Sweeper {
    pub(crate) fn new(client: Client, store: Store, folder: PathBuf, metrics: SweepMetrics) -> Self {
        Self { client, store, folder, metrics, runs: RUNS, page: PAGE }
    }

    /// With other bounds of a pass.
    #[cfg(test)]
    pub(crate) fn bounded(self, runs: usize, page: u32) -> Self {
        Self { runs, page, ..self }
    }

    /// Makes a pass every `interval`, until stopped.
    pub(crate) async fn keep(&self, interval: Duration, stop: &CancellationToken) {
        let mut pause = FIRST.min(interval);
        let mut uploads_due = Instant::now();
        while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            if Instant::now() >= uploads_due {
                self.remove_abandoned_uploads().await;
                uploads_due = Instant::now() + ABANDONED;
            }
            let Some(pass) = stop.run_until_cancelled(self.pass(Timestamp::now())).await else { return };
            self.metrics.passed(pass.is_ok());
            pause = interval;
            match pass {
                Ok(Swept { more: true, .. }) => pause = SOON.min(interval),
                Ok(swept) => tracing::debug!(runs = swept.runs, "the store was swept"),
                Err(error) => tracing::warn!(error = chain(&error), "the store could not be swept; it is tried again"),
            }
        }
    }

    /// Compares what is stored with the Sessions, and removes what nobody keeps any more.
    pub(crate) async fn pass(&self, now: Timestamp) -> Result<Swept, SweepError> {
        let mut unclaimed: HashSet<Run> = self.store.runs().await?.into_iter().collect();
        if unclaimed.is_empty() {
            return Ok(Swept::default());
        }
        let (mut expired, mut finished) = (Vec::new(), Vec::new());
        let sessions = Api::<Decoded<Session>>::all(self.client.clone());
        self.each(
            |params| list(sessions.clone(), params),
            |session| {
                let Some(run) = run_of(&session).filter(|run| unclaimed.remove(run)) else { return };
                let Decoded::Readable(session) = &session else { return };
                if expired_after(session, now).is_some() {
                    expired.push((session.metadata.name.clone().unwrap_or_default(), run));
                } else if session.status.as_ref().is_some_and(|status| status.phase.is_finished()) {
                    finished.push(run);
                }
            },
        )
        .await?;
        let mut swept = Swept::default();
        self.sweep_gone(unclaimed, &mut swept).await?;
        self.sweep_expired(expired, now, &mut swept).await?;
        // One look is enough: a Session that is finished stays so.
        for run in finished {
            self.remove(&run, Why::Finished, &mut swept).await;
        }
        Ok(swept)
    }

    /// Removes the runs of which no Session is left, after another look at each namespace: nothing stored tells the
    /// name under which a Session could be read.
    async fn sweep_gone(&self, runs: HashSet<Run>, swept: &mut Swept) -> Result<(), SweepError> {
        let mut namespaces: BTreeMap<String, HashSet<Run>> = BTreeMap::new();
        for run in runs {
            namespaces.entry(run.namespace().to_owned()).or_default().insert(run);
        }
        for (namespace, mut unclaimed) in namespaces {
            if swept.runs >= self.runs {
                swept.more = true;
                return Ok(());
            }
            let sessions = Api::<Session>::namespaced(self.client.clone(), &namespace);
            let list = |params| {
                let sessions = sessions.clone();
                async move { sessions.list_metadata(&params).await }
            };
            self.each(list, |session| {
                run_of(&session).map(|run| unclaimed.remove(&run));
            })
            .await?;
            for run in unclaimed {
                self.remove(&run, Why::Gone, swept).await;
            }
        }
        Ok(())
    }

    /// Removes the runs of Sessions that are finished for long, after another look at each.
    async fn sweep_expired(
        &self,
        expired: Vec<(String, Run)>,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), SweepError> {
        for (name, run) in expired {
            if swept.runs >= self.runs {
                swept.more = true;
                return Ok(());
            }
            let session = Api::<Session>::namespaced(self.client.clone(), run.namespace()).get_opt(&name).await?;
            let confirmed = session.is_some_and(|session| {
                run_of(&session).as_ref() == Some(&run) && expired_after(&session, now).is_some()
            });
            if confirmed {
                self.remove(&run, Why::Expired, swept).await;
            }
        }
        Ok(())
    }

    /// Removes what a run has stored. That of others does not wait for one that fails.
    async fn remove(&self, run: &Run, why: Why, swept: &mut Swept) {
        if swept.runs >= self.runs {
            swept.more = true;
            return;
        }
        let (reason, because) = match why {
            Why::Gone => ("gone", "its Session does not exist any more"),
            Why::Expired => ("expired", "its Session's ttlAfterFinished is over"),
            Why::Finished => ("finished", "its Session is finished and needs no checkpoint"),
        };
        let removed = match why {
            Why::Gone | Why::Expired => self.store.remove_run(run).await,
            Why::Finished => self.store.remove_checkpoints(run).await,
        };
        match removed {
            Ok(0) if matches!(why, Why::Finished) => {}
            Ok(bytes) => {
                tracing::info!(%run, bytes, because, "removed what a run had stored");
                self.metrics.removed(reason, bytes);
                swept.runs += 1;
                swept.bytes += bytes;
            }
            Err(error) => {
                tracing::warn!(%run, error = chain(&error), "what a run had stored cannot be removed; it is tried again");
            }
        }
    }

    /// Hands every object of a paged list to `take`.
    async fn each<K, F>(&self, list: impl Fn(ListParams) -> F, mut take: impl FnMut(K)) -> Result<(), SweepError>
    where
        K: Clone,
        F: Future<Output = kube::Result<ObjectList<K>>>,
    {
        let mut params = ListParams::default().limit(self.page);
        loop {
            let page = list(params.clone()).await?;
            page.items.into_iter().for_each(&mut take);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    /// Removes what crashes left in the store's folder.
    async fn remove_abandoned_uploads(&self) {
        let folder = self.folder.clone();
        let removed = tokio::task::spawn_blocking(move || drover_store::remove_abandoned_uploads(&folder, ABANDONED));
        match removed.await.map_err(std::io::Error::other).flatten() {
            Ok(0) => {}
            Ok(uploads) => {
                tracing::info!(uploads, "removed uploads that a crash had cut off");
                self.metrics.uploads(uploads);
            }
            Err(error) => tracing::warn!(%error, "uploads that a crash cut off cannot be removed"),
        }
    }
}

async fn list<K>(api: Api<K>, params: ListParams) -> kube::Result<ObjectList<K>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    api.list(&params).await
}

/// Where the bytes of a Session are.
fn run_of(session: &impl Resource) -> Option<Run> {
    let metadata = session.meta();
    Run::new(metadata.namespace.as_deref()?, metadata.uid.as_deref()?).ok()
}

/// How long the bytes of a Session are kept, when that time is over.
pub(crate) fn expired_after(session: &Session, now: Timestamp) -> Option<drover_api::Duration> {
    let ttl = session.spec.ttl_after_finished?;
    let SessionStatus { phase, finished_at, .. } = session.status.as_ref()?;
    let finished_at = finished_at.as_ref().filter(|_| phase.is_finished())?;
    let kept = SignedDuration::try_from(ttl.as_std()).ok()?;
    (now.duration_since(finished_at.0) > kept).then_some(ttl)
}
