//! The cluster that the kubeconfig names, and how its errors are told.

use std::{error::Error as StdError, path::PathBuf};

use anyhow::Context;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// Which cluster and namespace a command is about; the flags that kubectl has too.
#[derive(clap::Args, Debug)]
pub(crate) struct ClusterArgs {
    /// Namespace of the Session; the context's own if left out
    #[arg(short, long, global = true, value_name = "NAMESPACE", help_heading = "Cluster")]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig to use
    #[arg(long, global = true, value_name = "CONTEXT", help_heading = "Cluster")]
    pub(crate) context: Option<String>,
    /// Kubeconfig file to use, instead of $KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Namespace in which Drover is installed
    #[arg(
        long,
        global = true,
        value_name = "NAMESPACE",
        env = "DROVER_NAMESPACE",
        default_value = "drover-system",
        help_heading = "Cluster"
    )]
    pub(crate) drover_namespace: String,
}

/// A cluster, seen as one of its users.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// What the client was made from; the gateway is asked with the same identity.
    pub(crate) config: Config,
    /// The namespace that commands are about.
    pub(crate) namespace: String,
    /// The namespace of Drover itself.
    pub(crate) drover_namespace: String,
}

impl Cluster {
    /// Reads the kubeconfig as kubectl does. Nothing is sent yet.
    pub(crate) async fn open(args: &ClusterArgs) -> anyhow::Result<Self> {
        let mut config = load(args).await?;
        // A create that timed out may have succeeded: it must not be sent twice.
        config.default_retry = false;
        let client = Client::try_from(config.clone()).map_err(|error| anyhow::anyhow!(explain(&error)))?;
        Ok(Self {
            client,
            namespace: args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone()),
            drover_namespace: args.drover_namespace.clone(),
            config,
        })
    }
}

async fn load(args: &ClusterArgs) -> anyhow::Result<Config> {
    let kubeconfig = match &args.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match kubeconfig {
        Ok(kubeconfig) => kubeconfig,
        // Without any kubeconfig kubectl takes the pod's service account, where there is one.
        Err(error) if args.kubeconfig.is_none() && args.context.is_none() => {
            return Config::incluster().map_err(|_| error).context("no kubeconfig");
        }
        Err(error) => return Err(error).context("no kubeconfig"),
    };
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.context("the kubeconfig cannot be used")
}

/// The reason that the client library gives to answers that are no Kubernetes status: a path that the API server does
/// not serve, for want of the CRD, or the page of a proxy.
const PLAIN_TEXT: &str = "Failed to parse error data";

/// An error of the Kubernetes API in a line for the user: the API server's own words where it spoke.
pub(crate) fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.reason == PLAIN_TEXT && status.code == 404 => {
            "the cluster does not know Sessions: is Drover installed?".to_owned()
        }
        kube::Error::Api(status) if status.reason == PLAIN_TEXT => {
            let first = status.message.lines().next().unwrap_or_default();
            format!("the API server answered {} {first:.200}", status.code).trim_end().to_owned()
        }
        kube::Error::Api(status) if status.message.is_empty() => {
            format!("the API server answered {} {}", status.code, status.reason)
        }
        kube::Error::Api(status) => status.message.clone(),
        other => format!("the API server cannot be asked: {}", chain(other)),
    }
}

/// An error and its causes in one line, each said once.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// Whether the API server refused for want of a right.
pub(crate) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

#[cfg(test)]
mod tests;
