//! A team's namespace, in which one journey happens.

use anyhow::{Context, Result};
use drover_api::{
    Session,
    log::{Event, Kind},
    names::label,
    state::{Phase, Reason},
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{AttachParams, ListParams, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Frameworks, Gateway, Installed, Port, Role, TENANT, User, installed, until};

/// Held for reading by journeys that need Drover to be there all the time, and for writing by those that take it away.
static PEACE: RwLock<()> = RwLock::const_new(());

enum Peace {
    Shared(#[expect(dead_code, reason = "it is held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "it is held")] RwLockWriteGuard<'static, ()>),
}

/// A namespace of one journey's own, where restricted Pod Security is enforced.
pub struct Tenant {
    /// An admin's client.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
    /// The cluster.
    pub installed: &'static Installed,
    _peace: Peace,
}

impl Tenant {
    /// A namespace whose name begins with `prefix`, among others.
    ///
    /// # Errors
    /// When the cluster cannot be brought up.
    pub async fn new(prefix: &str) -> Result<Self> {
        let installed = installed(Frameworks::Journeys).await?;
        Self::with(installed, prefix, Peace::Shared(PEACE.read().await)).await
    }

    /// The only namespace with a journey in it, which may do to Drover what it wants.
    ///
    /// # Errors
    /// When the cluster cannot be brought up.
    pub async fn alone(prefix: &str) -> Result<Self> {
        let installed = installed(Frameworks::Journeys).await?;
        Self::with(installed, prefix, Peace::Alone(PEACE.write().await)).await
    }

    async fn with(installed: &'static Installed, prefix: &str, peace: Peace) -> Result<Self> {
        let client = installed.client().await?;
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": {
            "generateName": format!("{prefix}-"),
            "labels": { TENANT: "", "pod-security.kubernetes.io/enforce": "restricted" },
        }}))?;
        let made = Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(Self { client, namespace: made.name_any(), installed, _peace: peace })
    }

    /// Somebody with a role here.
    ///
    /// # Errors
    /// When the API server does not take them.
    pub async fn user(&self, role: Role) -> Result<User> {
        User::new(self.installed, &self.client, &self.namespace, role).await
    }

    /// A way to the gateway.
    ///
    /// # Errors
    /// When it is not announced.
    pub async fn gateway(&self, port: Port) -> Result<Gateway> {
        Gateway::open(&self.client, port).await
    }

    /// The Sessions here.
    #[must_use]
    pub fn sessions(&self) -> Api<Session> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The pods here.
    #[must_use]
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a Session.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn create(&self, name: &str, spec: Value) -> Result<Session> {
        let session = Session::new(name, serde_json::from_value(spec)?);
        Ok(self.sessions().create(&PostParams::default(), &session).await?)
    }

    /// Waits until a Session is as `wanted` says.
    ///
    /// # Errors
    /// When it is not in time, with what it is instead.
    pub async fn until(&self, name: &str, wanted: impl Fn(&Session) -> bool) -> Result<Session> {
        let session = until(&self.sessions(), name, |session| session.is_some_and(&wanted)).await?;
        session.context("the Session is gone")
    }

    /// Waits until the agent runs.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn running(&self, name: &str) -> Result<Session> {
        self.until(name, |session| phase(session) == Phase::Running).await
    }

    /// Creates a Session and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn run(&self, name: &str, spec: Value) -> Result<Session> {
        self.create(name, spec).await?;
        self.ended(name).await
    }

    /// Waits until a Session has ended.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(&self, name: &str) -> Result<Session> {
        self.until(name, |session| phase(session).is_finished()).await
    }

    /// Waits until a Session is in a phase for a reason.
    ///
    /// # Errors
    /// When it is not in time, with what it is instead.
    pub async fn stands(&self, name: &str, phase: Phase, reason: Reason) -> Result<Session> {
        let place = Some((phase, Some(reason)));
        self.until(name, |session| session.status.as_ref().map(|status| (status.phase, status.reason)) == place).await
    }

    /// The one pod of a Session.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn pod(&self, session: &str) -> Result<Pod> {
        let selected = ListParams::default().labels(&format!("{}={session}", label::SESSION));
        let mut pods = self.pods().list(&selected).await?.items;
        anyhow::ensure!(pods.len() == 1, "{session} has {} pods", pods.len());
        Ok(pods.remove(0))
    }

    /// Waits until nothing runs here any more.
    ///
    /// # Errors
    /// When a pod is left.
    pub async fn until_no_pods(&self) -> Result<()> {
        for pod in self.pods().list(&ListParams::default()).await? {
            let uid = pod.uid();
            until(&self.pods(), &pod.name_any(), |now| now.is_none_or(|now| now.uid() != uid)).await?;
        }
        Ok(())
    }

    /// The name of the pod of the attempt under way.
    ///
    /// # Errors
    /// When there is none.
    pub async fn pod_name(&self, session: &str) -> Result<String> {
        let status = self.sessions().get(session).await?.status;
        status.and_then(|status| Some(status.pod?.name)).with_context(|| format!("{session} has no pod"))
    }

    /// Waits until no container runs here any more.
    ///
    /// # Errors
    /// When one is left.
    pub async fn until_no_pods_run(&self) -> Result<()> {
        let over =
            |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default().to_owned();
        for pod in self.pods().list(&ListParams::default()).await? {
            until(&self.pods(), &pod.name_any(), |now| {
                now.is_none_or(|now| ["Succeeded", "Failed"].contains(&over(now).as_str()))
            })
            .await?;
        }
        Ok(())
    }

    /// Makes a file in the workspace of a running agent, which its script waits for.
    ///
    /// # Errors
    /// When the agent's container cannot be entered.
    pub async fn touch(&self, session: &str, file: &str) -> Result<()> {
        let pod = self.pod_name(session).await?;
        let params = AttachParams::default().container("agent").stderr(false);
        let mut process = self.pods().exec(&pod, ["/bin/touch", file], &params).await?;
        let status = process.take_status().context("no status")?.await;
        anyhow::ensure!(status.as_ref().is_some_and(|s| s.status.as_deref() == Some("Success")), "{status:?}");
        Ok(())
    }

    /// The whole log of a Session that has ended.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn log(&self, name: &str) -> Result<Vec<Event>> {
        let user = self.user(Role::View).await?;
        self.gateway(Port::Api).await?.log(&self.namespace, name, &user.token, 1024 * 1024).await
    }
}

/// A Session's phase.
#[must_use]
pub fn phase(session: &Session) -> Phase {
    session.status.as_ref().map(|status| status.phase).unwrap_or_default()
}

/// What the agent wrote, line by line.
#[must_use]
pub fn said(events: &[Event]) -> Vec<&str> {
    events.iter().filter(|event| event.kind == Kind::Agent).map(|event| event.text.as_str()).collect()
}
