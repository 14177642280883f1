//! Sessions in numbers.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use drover_api::{
    Session,
    names::{annotation, label},
    session::SessionSpec,
    state::Phase,
};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, PostParams},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Notify;

use super::{
    delays::{Delay, Delays},
    namespaces,
};
use crate::world::phase;

/// A number of Sessions at a rate.
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) count: usize,
    /// How many a second.
    pub(super) rate: u32,
    pub(super) namespaces: usize,
}

/// What is waited for after the creation of a Session.
#[derive(Clone, Copy)]
pub(super) enum Sight {
    /// Its pod.
    Pod,
    /// The record of its success.
    Success,
}

/// How long the last Session is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// When something was seen of Sessions, by namespace and name.
type Times = Arc<Mutex<HashMap<String, Instant>>>;

/// A Session of a load.
struct Created {
    session: String,
    at: Instant,
    first_of_namespace: bool,
}

impl Load {
    /// The namespace of this number.
    pub(super) fn namespace(&self, number: usize) -> String {
        format!("load-{}-{}", self.namespaces, number % self.namespaces)
    }
}

/// Creates the Sessions at their rate, and measures from the API server's answer to what is to be seen.
pub(super) async fn run(client: &Client, load: &Load, count: usize, sight: Sight) -> Result<Delays> {
    let spaces: Vec<String> = (0..load.namespaces).map(|number| load.namespace(number)).collect();
    let made = namespaces::make(client, &spaces).await?;
    let (seen, listed) = (Times::default(), Arc::new(Notify::new()));
    let watching = tokio::spawn(watch(client.clone(), sight, seen.clone(), listed.clone()));
    tokio::time::timeout(PATIENCE, listed.notified()).await.context("the benchmark's own watch does not begin")?;
    let began = Instant::now();
    let mut created = create(client, load, count).await?;
    for session in &mut created {
        session.first_of_namespace &= session.session.split('/').next().is_some_and(|space| made.contains(space));
    }
    let deadline = Instant::now() + PATIENCE;
    let delays = loop {
        if let Some(delays) = delays(&created, &seen, began) {
            break delays;
        }
        if Instant::now() > deadline {
            bail!("not every Session got so far within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    watching.abort();
    Ok(delays)
}

fn delays(created: &[Created], seen: &Times, began: Instant) -> Option<Delays> {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let delay = |created: &Created| {
        let took = seen.get(&created.session)?.saturating_duration_since(created.at);
        Some(Delay {
            milliseconds: took.as_secs_f64() * 1000.0,
            seconds_into_run: created.at.saturating_duration_since(began).as_secs_f64(),
            session: created.session.clone(),
            first_of_namespace: created.first_of_namespace,
        })
    };
    Some(Delays::new(created.iter().map(delay).collect::<Option<_>>()?))
}

async fn create(client: &Client, load: &Load, count: usize) -> Result<Vec<Created>> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / load.rate);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..count {
        ticks.tick().await;
        let space = load.namespace(number);
        let sessions: Api<Session> = Api::namespaced(client.clone(), &space);
        let name = format!("s{}-{}-{number}", load.rate, load.namespaces);
        let first_of_namespace = number < load.namespaces;
        tasks.spawn(async move {
            sessions.create(&PostParams::default(), &session(&name)).await?;
            Ok::<_, kube::Error>(Created { session: format!("{space}/{name}"), at: Instant::now(), first_of_namespace })
        });
    }
    let mut created = Vec::new();
    while let Some(done) = tasks.join_next().await {
        created.push(done??);
    }
    Ok(created)
}

fn session(name: &str) -> Session {
    Session::new(name, SessionSpec::new("true"))
}

async fn watch(client: Client, sight: Sight, seen: Times, listed: Arc<Notify>) {
    match sight {
        Sight::Pod => {
            let config = watcher::Config::default().labels(label::SESSION);
            let session = |pod: &Pod| pod.labels().get(label::SESSION).cloned();
            note(watcher(Api::all(client), config), session, &seen, &listed).await;
        }
        Sight::Success => {
            let succeeded = |session: &Session| (phase(session) == Phase::Succeeded).then(|| session.name_any());
            note(watcher(Api::all(client), watcher::Config::default()), succeeded, &seen, &listed).await;
        }
    }
}

/// Takes note of when the objects first name a Session, and notifies once those that there are were listed.
async fn note<K>(
    events: impl futures::Stream<Item = watcher::Result<Event<K>>>,
    session: impl Fn(&K) -> Option<String>,
    seen: &Times,
    listed: &Notify,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let events = events.default_backoff();
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitApply(object) | Event::Apply(object)) => {
                if let Some(name) = session(&object) {
                    let key = format!("{}/{name}", object.namespace().unwrap_or_default());
                    seen.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert_with(Instant::now);
                }
            }
            Ok(Event::InitDone) => listed.notify_one(),
            Ok(Event::Init | Event::Delete(_)) | Err(_) => {}
        }
    }
}

/// Creates Sessions that ended long ago: restored ones, which their outcome says.
pub(super) async fn finished(client: &Client, count: usize) -> Result<()> {
    const SPACE: &str = "load-finished";
    const AT_ONCE: usize = 16;
    namespaces::make(client, &[SPACE.to_owned()]).await?;
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

/// How many pods of Sessions there are.
pub(super) async fn pods(client: &Client) -> Result<usize> {
    let pods: Api<Pod> = Api::all(client.clone());
    Ok(pods.list_metadata(&ListParams::default().labels(label::SESSION)).await?.items.len())
}

/// Waits until no pod of a Session is left.
pub(super) async fn reclaimed(client: &Client) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while pods(client).await? > 0 {
        if Instant::now() > deadline {
            bail!("not every pod was taken away within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// One write that concerns nobody.
pub(super) async fn touch(client: &Client) -> Result<()> {
    let metadata = ObjectMeta { generate_name: Some("touch-".to_owned()), ..ObjectMeta::default() };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await?;
    Ok(())
}
