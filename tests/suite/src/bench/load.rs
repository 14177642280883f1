//! Sessions in numbers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use drover_api::{
    Session,
    names::{annotation, label},
    session::SessionSpec,
};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace, Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;

/// A number of Sessions at a rate.
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) count: usize,
    /// How many a second.
    pub(super) rate: u32,
    pub(super) namespaces: usize,
    /// The bar for created → Pod, P99, in milliseconds.
    pub(super) p99: f64,
}

/// How long the last pod is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

type Times = Arc<Mutex<HashMap<String, Instant>>>;

/// Delays, sorted.
pub(super) struct Delays(Vec<Duration>);

impl Delays {
    /// The delay that so many percent do not exceed, in milliseconds.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(index).map_or(f64::NAN, |delay| delay.as_secs_f64() * 1000.0)
    }
}

/// Makes a namespace, if it is not there.
pub(super) async fn namespace(client: &Client, name: &str) -> Result<()> {
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let params = PatchParams::apply("bench").force();
    Api::<Namespace>::all(client.clone()).patch(name, &params, &Patch::Apply(namespace)).await?;
    Ok(())
}

/// Creates the Sessions at their rate, and measures from the API server's answer to the sight of the pod.
pub(super) async fn run(client: &Client, load: &Load, count: usize) -> Result<Delays> {
    let spaces: Vec<String> = (0..load.namespaces).map(|n| format!("load-{}-{n}", load.namespaces)).collect();
    for space in &spaces {
        namespace(client, space).await?;
    }
    let prefix = format!("s{}-{}", load.rate, load.namespaces);
    let seen: Times = Arc::default();
    let watching = tokio::spawn(watch_pods(client.clone(), seen.clone()));
    let created = create(client, load, count, &spaces, &prefix).await?;
    let deadline = Instant::now() + PATIENCE;
    let delays = loop {
        if let Some(delays) = delays(&created, &seen) {
            break delays;
        }
        if Instant::now() > deadline {
            bail!("not every Session got its pod within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    watching.abort();
    Ok(delays)
}

fn delays(created: &HashMap<String, Instant>, seen: &Times) -> Option<Delays> {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let delay = |(name, at): (&String, &Instant)| seen.get(name).map(|pod| pod.saturating_duration_since(*at));
    let mut all: Vec<Duration> = created.iter().map(delay).collect::<Option<_>>()?;
    all.sort();
    Some(Delays(all))
}

async fn create(
    client: &Client,
    load: &Load,
    count: usize,
    spaces: &[String],
    prefix: &str,
) -> Result<HashMap<String, Instant>> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / load.rate);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..count {
        ticks.tick().await;
        let space = spaces[number % spaces.len()].clone();
        let sessions: Api<Session> = Api::namespaced(client.clone(), &space);
        let name = format!("{prefix}-{number}");
        tasks.spawn(async move {
            sessions.create(&PostParams::default(), &session(&name)).await?;
            Ok::<_, kube::Error>((format!("{space}/{name}"), Instant::now()))
        });
    }
    let mut created = HashMap::new();
    while let Some(done) = tasks.join_next().await {
        created.extend([done??]);
    }
    Ok(created)
}

fn session(name: &str) -> Session {
    let spec = SessionSpec {
        prompt: "sleep 1".to_owned(),
        framework: "shell".to_owned(),
        timeout: None,
        artifacts: Vec::new(),
        pod: None,
    };
    Session::new(name, spec)
}

async fn watch_pods(client: Client, seen: Times) {
    let config = watcher::Config::default().labels(label::SESSION);
    let pods = watcher(Api::<Pod>::all(client), config).default_backoff().applied_objects();
    let note = |pod: Pod| {
        let name = pod.labels().get(label::SESSION).cloned().unwrap_or_default();
        let key = format!("{}/{name}", pod.namespace().unwrap_or_default());
        seen.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert_with(Instant::now);
    };
    pods.for_each(|pod| {
        pod.into_iter().for_each(note);
        std::future::ready(())
    })
    .await;
}

/// Creates Sessions that ended long ago: restored ones, which their outcome says.
pub(super) async fn finished(client: &Client, count: usize) -> Result<()> {
    const SPACE: &str = "load-finished";
    const AT_ONCE: usize = 16;
    namespace(client, SPACE).await?;
    let sessions: Api<Session> = Api::namespaced(client.clone(), SPACE);
    let outcome = json!({ "phase": "Succeeded", "reason": "Completed", "finishedAt": "2026-01-01T00:00:00Z" });
    stream::iter(0..count)
        .map(|number| {
            let mut session = session(&format!("done-{number}"));
            session.metadata.annotations = Some([(annotation::OUTCOME.to_owned(), outcome.to_string())].into());
            let sessions = sessions.clone();
            async move { sessions.create(&PostParams::default(), &session).await.map(drop) }
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|()| async { Ok(()) })
        .await
        .context("finished Sessions")
}

/// One write that concerns nobody.
pub(super) async fn touch(client: &Client) -> Result<()> {
    let metadata = ObjectMeta { generate_name: Some("touch-".to_owned()), ..ObjectMeta::default() };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await?;
    Ok(())
}
