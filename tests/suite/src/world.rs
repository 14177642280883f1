//! A world for one row of the harness: a namespace of its own, a clock that runs fast, a kubelet, and operators that
//! can be started and killed.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use drover_api::{
    Session,
    names::{FRAMEWORKS_CONFIG_MAP, annotation, label},
    state::Phase,
};
use drover_operator::{Metrics, Operator, Options};
use drover_service::clock::{Clock, ManualClock};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Pod},
    events::v1::Event,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    client::ClientBuilder,
    runtime::{WatchStreamExt, watcher},
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    api_server,
    faults::{Fault, Faults},
    kubelet::{Kubelet, Script},
};

/// How long anything in a world is waited for, in real time.
const PATIENCE: Duration = Duration::from_secs(90);
/// A lease that no busy machine loses.
const LONG_LEASE: Duration = Duration::from_secs(60);
/// A lease that is soon lost, for rows in which it passes to another.
pub const SHORT_LEASE: Duration = Duration::from_secs(4);
/// How much faster than real time the world's clock runs.
const SPEED: u32 = 20;
const TICK: Duration = Duration::from_millis(5);
/// The pod retention of a world's operators.
pub const RETENTION: Duration = Duration::from_secs(600);
/// How long pods of a world may take to start: longer than most rows move the clock.
pub const START_TIMEOUT: Duration = Duration::from_secs(48 * 3600);

/// The world of one row.
pub struct World {
    /// An admin's client without faults.
    pub client: Client,
    /// The row's namespace.
    pub namespace: String,
    /// Moves the world's clock.
    pub time: ManualClock,
    /// The kubelet.
    pub kubelet: Kubelet,
    clock: Clock,
    ticker: JoinHandle<()>,
}

/// An operator in a world.
pub struct Running {
    /// What is in its way.
    pub faults: Faults,
    task: JoinHandle<Result<(), drover_operator::Error>>,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// A world whose agents follow `script`.
    ///
    /// # Errors
    /// When the API server cannot be reached.
    pub async fn new(script: Script) -> Result<Self> {
        Self::at_speed(vec![script], SPEED).await
    }

    /// A world whose agents follow one script after the other, an attempt each; the last one's again and again.
    ///
    /// # Errors
    /// When the API server cannot be reached.
    pub async fn of_attempts(scripts: Vec<Script>) -> Result<Self> {
        Self::at_speed(scripts, SPEED).await
    }

    /// A world whose clock runs so many times as fast as real time.
    ///
    /// # Errors
    /// When the API server cannot be reached.
    pub async fn at_speed(scripts: Vec<Script>, speed: u32) -> Result<Self> {
        let client = api_server::client().await?;
        let namespace = api_server::namespace(&client, "world").await?;
        let (clock, time) = Clock::manual(jiff::Timestamp::now());
        let kubelet = Kubelet::start(&client, &namespace, scripts);
        let ticking = time.clone();
        let ticker = tokio::spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            loop {
                interval.tick().await;
                ticking.advance(TICK * speed);
            }
        });
        let world = Self { client, namespace, time, kubelet, clock, ticker };
        world.frameworks(&[("shell", "{image: shell, command: [/bin/sh, '{promptFile}']}")]).await?;
        Ok(world)
    }

    /// Sets the registry of frameworks, which stands in the world's own namespace.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn frameworks(&self, entries: &[(&str, &str)]) -> Result<()> {
        let data: std::collections::BTreeMap<_, _> = entries.iter().copied().collect();
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": FRAMEWORKS_CONFIG_MAP }, "data": data });
        let params = PatchParams::apply("world").force();
        Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace)
            .patch(FRAMEWORKS_CONFIG_MAP, &params, &Patch::Apply(map))
            .await?;
        Ok(())
    }

    /// Takes the registry of frameworks away.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn no_frameworks(&self) -> Result<()> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        maps.delete(FRAMEWORKS_CONFIG_MAP, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Starts an operator under the name `identity`, with `fault` in its way.
    ///
    /// # Errors
    /// When its client cannot be made.
    pub async fn operator(&self, identity: &str, fault: Fault) -> Result<Running> {
        self.operator_with_lease(identity, fault, LONG_LEASE).await
    }

    /// Starts an operator whose lease is of that length.
    ///
    /// # Errors
    /// When its client cannot be made.
    pub async fn operator_with_lease(&self, identity: &str, fault: Fault, lease: Duration) -> Result<Running> {
        let faults = Faults::new(fault);
        let mut config = api_server::config().await?;
        config.default_retry = false;
        let client = ClientBuilder::try_from(config)?.with_layer(&faults).build();
        let operator = Operator::new(
            client,
            self.options(identity, lease),
            self.clock.clone(),
            Metrics::register(&mut Registry::default()),
        );
        let stop = CancellationToken::new();
        let (token, death) = (stop.clone(), faults.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                ended = operator.run(token) => ended,
                () = death.death() => Ok(()),
            }
        });
        Ok(Running { faults, task, stop })
    }

    fn options(&self, identity: &str, lease: Duration) -> Options {
        Options {
            namespace: self.namespace.clone(),
            watch_namespace: Some(self.namespace.clone()),
            identity: identity.to_owned(),
            runner_image: "runner".to_owned(),
            image_pull_policy: "Never".to_owned(),
            gateway_url: "https://gateway".to_owned(),
            gateway_runner_url: "https://gateway:9443".to_owned(),
            gateway_dns_names: vec!["gateway".to_owned()],
            default_timeout: drover_api::Duration::from_secs(3600).expect("an hour"),
            pod_retention: RETENTION,
            start_timeout: drover_api::Duration::from_secs(START_TIMEOUT.as_secs()).expect("two days"),
            reporting_patience: drover_api::Duration::from_secs(120).expect("two minutes"),
            max_checkpoint_bytes: 1 << 30,
            status_delay: Duration::from_secs(2),
            lease,
        }
    }

    /// The Sessions of this world.
    #[must_use]
    pub fn sessions(&self) -> Api<Session> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The pods of this world.
    #[must_use]
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a Session of that name which asks for an artifact.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn session(&self, name: &str) -> Result<Session> {
        self.session_of(name, "shell").await
    }

    /// Creates a Session of that name and framework.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn session_of(&self, name: &str, framework: &str) -> Result<Session> {
        self.session_with(name, json!({ "prompt": "true", "framework": framework, "artifacts": ["out/*"] })).await
    }

    /// Creates a Session of that name and spec.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn session_with(&self, name: &str, spec: Value) -> Result<Session> {
        let session = serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec }))?;
        Ok(self.sessions().create(&PostParams::default(), &session).await?)
    }

    /// Changes a Session's spec by a merge patch.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn change(&self, name: &str, spec: Value) -> Result<Session> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        Ok(self.sessions().patch(name, &PatchParams::default(), &patch).await?)
    }

    /// Adds a message to a Session.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn say(&self, name: &str, id: &str) -> Result<Session> {
        let apply = json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "Session", "metadata": { "name": name },
            "spec": { "messages": [{ "id": id, "text": "go on" }] },
        });
        let params = PatchParams::apply(id).force();
        Ok(self.sessions().patch(name, &params, &Patch::Apply(apply)).await?)
    }

    /// Waits until the Session is as `wanted` says.
    ///
    /// # Errors
    /// When it is not within the patience of the harness, with what it is instead.
    pub async fn until(&self, name: &str, wanted: impl Fn(&Session) -> bool) -> Result<Session> {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let stream = watcher(self.sessions(), config).default_backoff().applied_objects();
        pin_mut!(stream);
        let search = async {
            while let Some(session) = stream.next().await {
                match session {
                    Ok(session) if wanted(&session) => return Ok(session),
                    Ok(_) => {}
                    Err(error) => tracing::debug!(%error, "the watch failed; it goes on"),
                }
            }
            bail!("the watch ended")
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => {
                let now = self.sessions().get_opt(name).await?.and_then(|session| session.status);
                bail!("{name} did not become what was wanted; its status is {now:?}")
            }
        }
    }

    /// Waits until the Session has ended.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(&self, name: &str) -> Result<Session> {
        self.until(name, |session| phase(session).is_finished()).await
    }

    /// Waits until the pods are as `wanted` says.
    ///
    /// # Errors
    /// When they are not within the patience of the harness.
    pub async fn until_pods(&self, wanted: impl Fn(&[Pod]) -> bool) -> Result<Vec<Pod>> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let pods = self.runner_pods().await?;
            if wanted(&pods) {
                return Ok(pods);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("the pods did not become what was wanted: {}", summary(&pods));
            }
            let config = watcher::Config::default().labels(label::SESSION);
            let change = watcher(self.pods(), config).touched_objects().take(1).collect::<Vec<_>>();
            // A change wakes; the bound is for pods that are gone before the watch began.
            tokio::time::timeout(Duration::from_millis(100), change).await.ok();
        }
    }

    /// Waits until there are events of these reasons about a Session of that name.
    ///
    /// # Errors
    /// When they do not come, with those that there are.
    pub async fn until_events(&self, name: &str, reasons: &[&str]) -> Result<()> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let about = |event: &Event| event.regarding.as_ref().and_then(|about| about.name.clone());
            let listed = events.list(&ListParams::default()).await?.items;
            let seen: Vec<_> = listed
                .iter()
                .filter(|event| about(event).as_deref() == Some(name))
                .filter_map(|e| e.reason.clone())
                .collect();
            if reasons.iter().all(|reason| seen.iter().any(|seen| seen == reason)) {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                bail!("events of {name}: {seen:?}");
            }
            let change =
                watcher(events.clone(), watcher::Config::default()).touched_objects().take(1).collect::<Vec<_>>();
            tokio::time::timeout(Duration::from_millis(100), change).await.ok();
        }
    }

    /// The runner pods that there are.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn runner_pods(&self) -> Result<Vec<Pod>> {
        Ok(self.pods().list(&ListParams::default().labels(label::SESSION)).await?.items)
    }

    /// Lets the retention time pass, and waits until nothing of the Session's run is left but its outcome.
    ///
    /// # Errors
    /// When something is left.
    pub async fn reclaimed(&self, name: &str) -> Result<()> {
        self.time.advance(RETENTION);
        self.until_pods(<[Pod]>::is_empty).await.context("pods are left")?;
        self.until(name, |session| session.annotations().contains_key(annotation::OUTCOME)).await?;
        Ok(())
    }
}

impl Running {
    /// Waits until the fault has killed the operator.
    ///
    /// # Errors
    /// When it does not die.
    pub async fn died(mut self) -> Result<Faults> {
        let death = self.faults.clone();
        tokio::time::timeout(PATIENCE, death.death())
            .await
            .with_context(|| format!("the operator did not get to its fault; it wrote {:?}", self.faults.writes()))?;
        tokio::time::timeout(PATIENCE, &mut self.task).await???;
        Ok(self.faults.clone())
    }

    /// Kills the operator where it stands.
    pub async fn kill(mut self) {
        self.task.abort();
        (&mut self.task).await.ok();
    }

    /// Asks the operator to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not stop, or ended with an error.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, &mut self.task).await???;
        Ok(())
    }

    /// Waits until the operator ends by itself.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ends(mut self) -> Result<Result<(), drover_operator::Error>> {
        Ok(tokio::time::timeout(PATIENCE, &mut self.task).await??)
    }
}

/// What matters of pods, for messages.
fn summary(pods: &[Pod]) -> String {
    let line = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        let deleting = pod.metadata.deletion_timestamp.is_some();
        format!("{} {phase}, deleting: {deleting}, finalizers: {:?}", pod.name_any(), pod.finalizers())
    };
    pods.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// A Session's phase.
#[must_use]
pub fn phase(session: &Session) -> Phase {
    session.status.as_ref().map(|status| status.phase).unwrap_or_default()
}
