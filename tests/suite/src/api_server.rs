//! The API server under test: an API-server-only cluster that all tests share, or the one that `DROVER_KUBECONFIG`
//! names.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{conditions::is_crd_established, wait::await_condition},
};

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().expect("the repository is there")
}

/// The path of a tool that `make` puts into `.run/bin`.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    root().join(".run/bin").join(name)
}

/// The API server's kubeconfig; the first caller starts the API server, which stays for the next run.
///
/// # Errors
/// When it cannot be started.
pub fn kubeconfig() -> Result<PathBuf> {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = PATH.get() {
        return Ok(path.clone());
    }
    let path = match std::env::var_os("DROVER_KUBECONFIG") {
        Some(path) => path.into(),
        None => start()?,
    };
    Ok(PATH.get_or_init(|| path).clone())
}

fn start() -> Result<PathBuf> {
    let state = root().join(".run/api-server");
    cluster(&state, &["up", "--api-only"])?;
    Ok(cluster(&state, &["kubeconfig"])?.trim().into())
}

/// Runs `drover-cluster` for the cluster of a state folder, and returns what it prints.
fn cluster(state: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(tool("drover-cluster"));
    command.arg("--state").arg(state).args(arguments);
    let output = command.output().context("cannot run drover-cluster: `make build` makes it")?;
    ensure!(
        output.status.success(),
        "drover-cluster {arguments:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// An API server of one's own, empty at first; dropped, it ends.
pub struct Fresh {
    state: PathBuf,
    kubeconfig: PathBuf,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Err(error) = cluster(&self.state, &["down"]) {
            tracing::warn!(%error, "the cluster was not taken down");
        }
    }
}

impl Fresh {
    /// Starts one under a name of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(name: &str) -> Result<Self> {
        let state = root().join(".run").join(name);
        cluster(&state, &["down"])?;
        cluster(&state, &["up", "--api-only"])?;
        let kubeconfig = cluster(&state, &["kubeconfig"])?.trim().into();
        Ok(Self { state, kubeconfig })
    }

    /// The path of its admin's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// An admin's client, with Drover's resources installed.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn client(&self) -> Result<Client> {
        let client = drover_k8s::client::build(config_of(&self.kubeconfig).await?)?;
        install_crds(&client).await?;
        Ok(client)
    }

    /// Kills the API server, and waits until its successor answers.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn restart_api_server(&self) -> Result<()> {
        let status: serde_json::Value = serde_json::from_str(&cluster(&self.state, &["status", "-o", "json"])?)?;
        let components = status["components"].as_array().context("components")?;
        let server = components.iter().find(|component| component["name"] == "kube-apiserver");
        let pid = server.and_then(|server| server["pid"].as_u64()).context("the API server's process")?;
        ensure!(Command::new("kill").arg("-9").arg(pid.to_string()).status()?.success(), "kill {pid}");
        let client = drover_k8s::client::build(config_of(&self.kubeconfig).await?)?;
        let deadline = tokio::time::Instant::now() + COME_BACK;
        while client.apiserver_version().await.is_err() {
            ensure!(tokio::time::Instant::now() < deadline, "the API server did not come back");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// How long an API server may take to come back.
const COME_BACK: std::time::Duration = std::time::Duration::from_secs(30);

/// The configuration of an admin's client.
///
/// # Errors
/// When the API server cannot be started.
pub async fn config() -> Result<Config> {
    config_of(&tokio::task::spawn_blocking(kubeconfig).await??).await
}

pub(crate) async fn config_of(kubeconfig: &Path) -> Result<Config> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// An admin's client, with Drover's resources installed.
///
/// # Errors
/// When the API server cannot be started, or does not take the resources.
pub async fn client() -> Result<Client> {
    let client = drover_k8s::client::build(config().await?)?;
    install_crds(&client).await?;
    Ok(client)
}

async fn install_crds(client: &Client) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in drover_api::crds() {
        let name = crd.name_any();
        api.patch(&name, &PatchParams::apply("drover-suite").force(), &Patch::Apply(&crd)).await?;
        await_condition(api.clone(), &name, is_crd_established()).await?;
    }
    Ok(())
}

/// Makes a new namespace whose name begins with `prefix`.
///
/// # Errors
/// When the API server does not take it.
pub async fn namespace(client: &Client, prefix: &str) -> Result<String> {
    let namespace = Namespace {
        metadata: ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    let made = Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(made.name_any())
}
