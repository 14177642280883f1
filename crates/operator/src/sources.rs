//! The watches, and how their signals become work.

use std::{collections::BTreeMap, sync::Arc};

use drover_api::{
    Session,
    names::{FRAMEWORKS_CONFIG_MAP, annotation::OUTCOME, label},
    state::{Outcome, Phase},
};
use drover_k8s::{
    cache::{Cache, Item, Key, Version},
    decoded::Decoded,
    queue::Lane,
    watch::{Signal, feed},
};
use drover_plan::{frameworks::Frameworks, run::RunnerPod};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Pod},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, PartialObjectMeta},
    runtime::watcher,
};
use tokio::{sync::watch, task::JoinSet};

use crate::{Options, run::Context};

/// How many objects a list brings at a time; it bounds what a re-list needs beside the cache.
const PAGE: u32 = 100;

/// The running watches; dropped, they end.
pub(crate) struct Watches {
    _tasks: JoinSet<()>,
    synced: [watch::Receiver<bool>; 3],
}

impl Watches {
    /// Returns once every cache holds all that there is.
    pub(crate) async fn synced(&mut self) {
        for receiver in &mut self.synced {
            // A watch never ends before it is dropped, so the sender is there.
            receiver.wait_for(|synced| *synced).await.ok();
        }
    }
}

/// Starts all watches.
pub(crate) fn start(context: &Arc<Context>, options: &Options) -> Watches {
    let scope = options.watch_namespace.as_deref();
    let mut tasks = JoinSet::new();
    let (sessions, sessions_synced) = watch::channel(false);
    tasks.spawn(watch_sessions(context.clone(), scoped(context, scope), sessions));
    let (pods, pods_synced) = watch::channel(false);
    tasks.spawn(watch_pods(context.clone(), scoped(context, scope), pods));
    let (frameworks, frameworks_synced) = watch::channel(false);
    tasks.spawn(watch_frameworks(context.clone(), options.namespace.clone(), frameworks));
    Watches { _tasks: tasks, synced: [sessions_synced, pods_synced, frameworks_synced] }
}

fn scoped<K>(context: &Context, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    }
}

fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// Sessions that are not finished. One that leaves the selection is told as vanished, and read when it is looked at.
async fn watch_sessions(context: Arc<Context>, api: Api<Decoded<Session>>, synced: watch::Sender<bool>) {
    let unfinished = Phase::FINISHED.map(|phase| format!("status.phase!={phase:?}")).join(",");
    let tell = |signal| match signal {
        Signal::Changed(key) => {
            let lane = if is_new(&context.sessions, &key) { Lane::First } else { Lane::Later };
            context.queue.add(key, lane);
        }
        Signal::Vanished(key) => context.queue.add(key, Lane::Later),
        Signal::Synced => drop(synced.send_replace(true)),
    };
    feed(api, config().fields(&unfinished), &context.sessions, session_item, tell).await;
}

/// Whether nobody has looked at the Session yet, so that a pod may have to be made.
fn is_new(sessions: &Cache<Session>, key: &Key) -> bool {
    let unseen = |session: &Session| {
        session.status.as_ref().and_then(|status| status.observed_generation).is_none_or(|seen| seen < 0)
    };
    sessions.group(key).iter().any(|session| unseen(session))
}

/// The cache's item of a Session, without what no decision reads.
pub(crate) fn session_item(mut session: Session) -> Option<Item<Session>> {
    let meta = session.meta_mut();
    meta.managed_fields = None;
    meta.labels = only(meta.labels.take(), label::ORIGIN);
    // kubectl keeps the whole manifest in an annotation, the prompt in it.
    meta.annotations = only(meta.annotations.take(), OUTCOME);
    let version = Version::read(meta.resource_version.as_deref());
    let group = Key { namespace: meta.namespace.as_deref()?.into(), name: meta.name.as_deref()?.into() };
    session.spec.prompt = String::new();
    session.spec.messages.iter_mut().for_each(|message| message.text = String::new());
    let name = group.name.clone();
    Some(Item { group, name, version, value: Arc::new(session) })
}

/// The one entry that decisions read.
fn only(all: Option<BTreeMap<String, String>>, name: &str) -> Option<BTreeMap<String, String>> {
    all.map(|all| all.into_iter().filter(|(present, _)| present == name).collect())
}

async fn watch_pods(context: Arc<Context>, api: Api<Decoded<Pod>>, synced: watch::Sender<bool>) {
    let tell = |signal| match signal {
        Signal::Changed(key) | Signal::Vanished(key) => context.queue.add(key, Lane::Later),
        Signal::Synced => drop(synced.send_replace(true)),
    };
    feed(api, config().labels(label::SESSION), &context.pods, |pod: Pod| pod_item(&pod), tell).await;
}

/// Looks once more at every finished Session of which something is left: the operator died before its outcome could be
/// noted, was down when the pod went, or its time to live is not over.
pub(crate) async fn sweep(context: &Context, options: &Options) -> Result<(), kube::Error> {
    let sessions: Api<Session> = scoped(context, options.watch_namespace.as_deref());
    for phase in Phase::FINISHED {
        let mut params = ListParams::default().fields(&format!("status.phase={phase:?}")).limit(PAGE);
        loop {
            let page = sessions.list_metadata(&params).await?;
            page.items.iter().for_each(|session| queue_what_is_left(context, session));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(())
}

fn queue_what_is_left(context: &Context, session: &PartialObjectMeta<Session>) {
    let key = Key { namespace: session.namespace().unwrap_or_default().into(), name: session.name_any().into() };
    let Some(noted) = session.annotations().get(OUTCOME) else {
        context.queue.add(key, Lane::Later);
        return;
    };
    let outcome = serde_json::from_str::<Outcome>(noted).ok();
    if let Some(expiry) = outcome.and_then(|outcome| outcome.expires_at) {
        context.queue.add_at(key, expiry.0);
    }
}

/// The cache's item of a runner pod.
pub(crate) fn pod_item(pod: &Pod) -> Option<Item<RunnerPod>> {
    let version = Version::read(pod.metadata.resource_version.as_deref());
    let value = Arc::new(RunnerPod::read(pod)?);
    let group = Key { namespace: value.namespace.clone(), name: value.session.clone() };
    Some(Item { group, name: value.name.clone(), version, value })
}

/// The registry of frameworks. When it changes, everything unfinished is looked at again.
async fn watch_frameworks(context: Arc<Context>, namespace: String, synced: watch::Sender<bool>) {
    let registry = Cache::<Frameworks>::default();
    let key = Key { namespace: namespace.as_str().into(), name: FRAMEWORKS_CONFIG_MAP.into() };
    let tell = |signal| {
        let known = registry.group(&key).first().map(|frameworks| (**frameworks).clone());
        let absent = || Frameworks::Unavailable(format!("there is no ConfigMap {key}"));
        context.set_frameworks(known.unwrap_or_else(absent));
        if signal == Signal::Synced {
            synced.send_replace(true);
        } else {
            context.sessions.groups().into_iter().for_each(|key| context.queue.add(key, Lane::Later));
        }
    };
    let read = |map: ConfigMap| {
        let version = Version::read(map.metadata.resource_version.as_deref());
        let value = Arc::new(Frameworks::parse(&map.data.unwrap_or_default()));
        Some(Item { group: key.clone(), name: key.name.clone(), version, value })
    };
    let api = Api::namespaced(context.client.clone(), &namespace);
    let only = config().fields(&format!("metadata.name={FRAMEWORKS_CONFIG_MAP}"));
    feed(api, only, &registry, read, tell).await;
}
