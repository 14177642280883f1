//! The API server under test: an API-server-only cluster that all tests share, or the one that `DROVER_KUBECONFIG`
//! names.

use std::{path::PathBuf, process::Command, sync::OnceLock};

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
    let cluster = |arguments: &[&str]| {
        let mut command = Command::new(tool("drover-cluster"));
        command.arg("--state").arg(&state).args(arguments);
        command
    };
    let up = cluster(&["up", "--api-only"]).output().context("cannot run drover-cluster: `make build` makes it")?;
    ensure!(up.status.success(), "drover-cluster up failed: {}", String::from_utf8_lossy(&up.stderr));
    let printed = cluster(&["kubeconfig"]).output()?;
    Ok(String::from_utf8(printed.stdout)?.trim().into())
}

/// The configuration of an admin's client.
///
/// # Errors
/// When the API server cannot be started.
pub async fn config() -> Result<Config> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let path = tokio::task::spawn_blocking(kubeconfig).await??;
    Ok(Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await?)
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
