//! The cluster that the kubeconfig names, and how its errors are told.

mod identity;

use std::{error::Error as StdError, path::PathBuf, sync::Arc};

use anyhow::{Context, anyhow};
use drover_api::Session;
use hyper_util::client::proxy::matcher::Matcher;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{
    Api, Client, Config,
    api::PostParams,
    client::middleware::AuthLayer,
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
    /// What the client was made from, without what is in `auth`; the gateway is asked with the same identity.
    pub(crate) config: Config,
    /// What adds the caller's token to a request, where the caller is known by one.
    pub(crate) auth: Option<Arc<AuthLayer>>,
    /// The namespace that commands are about.
    pub(crate) namespace: String,
    /// The namespace of Drover itself.
    pub(crate) drover_namespace: String,
}

impl Cluster {
    /// Reads the kubeconfig as kubectl does, and asks its credential plugin, if it names one. Nothing is sent yet.
    pub(crate) async fn open(args: &ClusterArgs) -> anyhow::Result<Self> {
        let mut config = load(args).await?;
        // A create that timed out may have succeeded: it must not be sent twice.
        config.default_retry = false;
        let (client, auth) = identity::client(&mut config).map_err(|error| anyhow!(explain(&error)))?;
        Ok(Self {
            client,
            auth,
            namespace: args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone()),
            drover_namespace: args.drover_namespace.clone(),
            config,
        })
    }

    /// The Sessions of the namespace.
    pub(crate) fn sessions(&self) -> Api<Session> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The Session `name`, as it is now.
    pub(crate) async fn session(&self, name: &str) -> anyhow::Result<Session> {
        let found = self.sessions().get_opt(name).await.map_err(|error| anyhow!(explain(&error)))?;
        found.with_context(|| self.absent(name))
    }

    /// That there is no Session `name`, and how to see which there are.
    pub(crate) fn absent(&self, name: &str) -> String {
        let namespace = &self.namespace;
        format!(
            "there is no Session {name:?} in namespace {namespace}: see kubectl drover status -n {namespace}, \
             or choose another namespace with -n"
        )
    }

    /// Who the caller is for the API server; `None` where it does not say, or not in a way that `by` can hold.
    pub(crate) async fn user(&self) -> Option<String> {
        /// The longest name that `by` holds, in characters.
        const MAX_NAME: usize = 256;
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        // Where the question is refused the audit log still knows; any other trouble meets the request that follows.
        let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok()?;
        let name = review.status?.user_info?.username?;
        (1..=MAX_NAME).contains(&name.chars().count()).then_some(name)
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
    let names_proxy = names_proxy(&kubeconfig, args.context.as_ref());
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &options).await.context("the kubeconfig cannot be used")?;
    // The library takes HTTPS_PROXY for every cluster; NO_PROXY names those that are reached without it.
    if !names_proxy && Matcher::from_env().intercept(&config.cluster_url).is_none() {
        config.proxy_url = None;
    }
    Ok(config)
}

/// Whether the context's cluster has a `proxy-url` of its own, which holds whatever the environment says.
fn names_proxy(kubeconfig: &Kubeconfig, context: Option<&String>) -> bool {
    let context = context.or(kubeconfig.current_context.as_ref());
    let cluster = kubeconfig
        .contexts
        .iter()
        .find(|named| Some(&named.name) == context)
        .and_then(|named| named.context.as_ref())
        .map(|context| &context.cluster);
    let cluster = kubeconfig.clusters.iter().find(|named| Some(&named.name) == cluster);
    cluster.and_then(|named| named.cluster.as_ref()).is_some_and(|cluster| cluster.proxy_url.is_some())
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
        kube::Error::Api(status) if status.code == 401 => {
            "the API server does not accept the kubeconfig's credentials: log in again, or choose another --context"
                .to_owned()
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

/// Whether somebody else changed the object meanwhile.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Whether the API server refused for want of a right.
pub(crate) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

#[cfg(test)]
mod tests;
