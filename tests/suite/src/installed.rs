//! Drover as its chart installs it, on a node where pods really run: a cluster of the tests' own in `.run/journeys`, or
//! the one that `DROVER_KUBECONFIG` names. It stays for the next run, which installs anew only what has changed.

mod conversation;
mod frameworks;
mod gateway;
mod tenant;
mod user;

pub use conversation::turns;
pub use frameworks::{Frameworks, REFUSED_IMAGE};
pub use gateway::{Gateway, LogStream, Port, ServerEvent};
pub use tenant::{Tenant, phase, said};
pub use user::{Answer, Role, User};

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Namespace},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    runtime::wait::await_condition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{io::AsyncWriteExt, process::Command, sync::OnceCell};

use crate::api_server::{self, root, tool};

/// The namespace that Drover is installed in.
pub const NAMESPACE: &str = "drover-system";
/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// The label of namespaces that tests make; the next run deletes them.
const TENANT: &str = "drover-suite/tenant";
/// In [`NAMESPACE`]: what is installed.
const STAMP: &str = "drover-suite";
const MANAGER: &str = "drover-suite";

/// A cluster with Drover in it.
#[derive(Debug)]
pub struct Installed {
    kubeconfig: PathBuf,
}

/// The cluster, with these frameworks beside the chart's own. The first caller of the process brings it up, which takes
/// half a minute when something changed, else a second.
///
/// # Errors
/// When it cannot be brought up.
pub async fn installed(frameworks: Frameworks) -> Result<&'static Installed> {
    static INSTALLED: OnceCell<Result<Installed, String>> = OnceCell::const_new();
    let result = INSTALLED.get_or_init(|| async { bring_up(frameworks).await.map_err(|error| format!("{error:#}")) });
    result.await.as_ref().map_err(|error| anyhow::anyhow!("Drover is not installed: {error}"))
}

async fn bring_up(frameworks: Frameworks) -> Result<Installed> {
    std::fs::create_dir_all(root().join(".run"))?;
    let lock = std::fs::File::create(root().join(".run/journeys.lock"))?;
    // One process at a time: two would install into each other's cluster.
    tokio::task::spawn_blocking(move || lock.lock().map(|()| std::mem::forget(lock))).await??;
    let installed = Installed { kubeconfig: kubeconfig().await? };
    let client = installed.client().await?;
    sweep(&client).await?;
    let version = version()?;
    if installed.version(&client).await? != Some(version.clone()) || !installed.is_ready(&client).await? {
        run(&mut script("scripts/cluster"), None).await?;
        let stamp = json!({ "metadata": { "name": STAMP }, "data": { "version": version } });
        apply::<ConfigMap>(&client, NAMESPACE, stamp).await?;
    }
    frameworks.install(&installed).await?;
    user::let_users_forward(&client).await?;
    Ok(installed)
}

/// A script of the repository, for the cluster of these tests.
fn script(path: &str) -> Command {
    let mut command = Command::new(root().join(path));
    command.env("DROVER_CLUSTER_STATE", state());
    command
}

fn state() -> PathBuf {
    root().join(".run/journeys")
}

async fn kubeconfig() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("DROVER_KUBECONFIG") {
        return Ok(path.into());
    }
    let mut up = Command::new(tool("drover-cluster"));
    run(up.arg("--state").arg(state()).arg("up"), None).await.context("`make build` makes what is needed")?;
    let mut path = Command::new(tool("drover-cluster"));
    Ok(run(path.arg("--state").arg(state()).arg("kubeconfig"), None).await?.trim().into())
}

/// Deletes what runs before this one have left, without waiting for its end.
async fn sweep(client: &Client) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for namespace in namespaces.list(&ListParams::default().labels(TENANT)).await? {
        if namespace.metadata.deletion_timestamp.is_none() {
            namespaces.delete(&namespace.name_any(), &DeleteParams::default()).await?;
        }
    }
    Ok(())
}

/// Names the present build and the present chart.
fn version() -> Result<String> {
    let mut digest = Sha256::new();
    let mut paths = vec![root().join(".run/stamps/images"), root().join("scripts/cluster")];
    let mut folders = vec![root().join("charts/drover"), root().join("crds")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { paths.push(path) }
        }
    }
    paths.sort();
    for path in paths {
        digest.update(path.as_os_str().as_encoded_bytes());
        digest.update(std::fs::read(&path).with_context(|| format!("{}: `make build` makes it", path.display()))?);
    }
    Ok(hex(&digest.finalize()))
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a command to its end, and returns what it prints; its standard error is part of the error.
async fn run(command: &mut Command, stdin: Option<&str>) -> Result<String> {
    let piped = if stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command
        .stdin(piped)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
        pipe.write_all(text.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// Applies an object to a namespace.
///
/// # Errors
/// When the API server does not take it.
pub async fn apply<K>(client: &Client, namespace: &str, object: Value) -> Result<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let object: K = serde_json::from_value(object)?;
    let params = PatchParams::apply(MANAGER).force();
    Ok(Api::<K>::namespaced(client.clone(), namespace)
        .patch(&object.name_any(), &params, &Patch::Apply(&object))
        .await?)
}

/// Waits until an object is as `wanted` says; `None` is given to it when there is none.
///
/// # Errors
/// When it is not within [`PATIENCE`], with what it is instead.
pub async fn until<K>(api: &Api<K>, name: &str, wanted: impl Fn(Option<&K>) -> bool) -> Result<Option<K>>
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static,
{
    let condition = |object: Option<&K>| wanted(object);
    match tokio::time::timeout(PATIENCE, Box::pin(await_condition(api.clone(), name, condition))).await {
        Ok(object) => Ok(object?),
        Err(_) => {
            let now = api.get_opt(name).await?.map(|object| serde_json::to_string(&object)).transpose()?;
            bail!("{name} did not become what was wanted; it is {}", now.as_deref().unwrap_or("gone"))
        }
    }
}

impl Installed {
    /// The admin's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// An admin's client.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<Client> {
        Ok(drover_k8s::client::build(api_server::config_of(&self.kubeconfig).await?)?)
    }

    /// Runs helm, as the admin.
    ///
    /// # Errors
    /// When it fails.
    pub async fn helm(&self, arguments: &[&str], stdin: Option<&str>) -> Result<String> {
        let mut helm = Command::new(tool("helm"));
        helm.current_dir(root()).env("KUBECONFIG", &self.kubeconfig).args(["--namespace", NAMESPACE]);
        run(helm.args(arguments), stdin).await
    }

    /// The values that Drover is installed with, beside the chart's own.
    ///
    /// # Errors
    /// When helm fails.
    pub async fn values(&self) -> Result<Value> {
        let values: Value =
            serde_json::from_str(&self.helm(&["get", "values", "drover", "--output", "json"], None).await?)?;
        Ok(if values.is_object() { values } else { json!({}) })
    }

    /// Installs the chart, or upgrades it, with exactly these values, and waits until it serves.
    ///
    /// # Errors
    /// When helm fails.
    pub async fn upgrade(&self, values: &Value) -> Result<()> {
        let arguments = ["upgrade", "drover", "charts/drover", "--install", "--wait", "--timeout=2m", "--values=-"];
        self.helm(&arguments, Some(&values.to_string())).await?;
        Ok(())
    }

    /// Makes an image known to the node.
    async fn load(&self, archive: &Path) -> Result<()> {
        let mut command = match (std::env::var_os("DROVER_KUBECONFIG"), std::env::var("DROVER_LOAD_IMAGE")) {
            (None, _) => {
                let mut command = Command::new(tool("drover-cluster"));
                command.arg("--state").arg(state()).arg("load");
                command
            }
            (Some(_), Ok(load)) => {
                let mut words = load.split_whitespace();
                let mut command = Command::new(words.next().context("DROVER_LOAD_IMAGE is empty")?);
                command.args(words);
                command
            }
            (Some(_), Err(_)) => bail!("set DROVER_LOAD_IMAGE to a command that brings an image archive to your nodes"),
        };
        run(command.arg(archive), None).await?;
        Ok(())
    }

    async fn is_ready(&self, client: &Client) -> Result<bool> {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
        for name in ["drover-operator", "drover-gateway"] {
            let deployment = deployments.get_opt(name).await?;
            let ready = deployment.and_then(|deployment| deployment.status?.ready_replicas);
            if ready.is_none_or(|ready| ready == 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn version(&self, client: &Client) -> Result<Option<String>> {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        Ok(maps.get_opt(STAMP).await?.and_then(|map| map.data?.remove("version")))
    }
}
