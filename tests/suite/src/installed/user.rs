//! People of a tenant: service accounts with Kubernetes' own roles, which the chart's roles are joined into.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::{Role as NamespacedRole, RoleBinding},
};
use kube::{Api, Client, api::PostParams, config::Kubeconfig};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::{Installed, NAMESPACE, apply};
use crate::api_server::{self, root, tool};

/// One of the roles that Kubernetes has for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sees most things.
    View,
    /// Changes most things.
    Edit,
    /// Changes also roles.
    Admin,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Admin => "admin",
        }
    }
}

/// Somebody with one role in one namespace.
pub struct User {
    /// The name that the API server has for them.
    pub name: String,
    /// A bearer token of theirs.
    pub token: String,
    /// A client of theirs.
    pub client: Client,
    home: TempDir,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl User {
    pub(super) async fn new(installed: &Installed, client: &Client, namespace: &str, role: Role) -> Result<Self> {
        let name = role.name();
        apply::<ServiceAccount>(client, namespace, json!({ "metadata": { "name": name } })).await?;
        let binding = json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }],
        });
        apply::<RoleBinding>(client, namespace, binding).await?;
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        let made = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = made.status.context("the token request has no status")?.token;

        let home = tempfile::tempdir()?;
        let path = home.path().join("kubeconfig");
        write_kubeconfig(installed.kubeconfig(), &path, namespace, &token)?;
        let client = drover_k8s::client::build(api_server::config_of(&path).await?)?;
        Ok(Self { name: format!("system:serviceaccount:{namespace}:{name}"), token, client, home })
    }

    /// The path of a kubeconfig of theirs, whose namespace is the tenant's.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// A folder of theirs.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `kubectl drover` with arguments, ready to be started.
    #[must_use]
    pub fn plugin(&self, arguments: &[&str]) -> Command {
        self.command(&tool("../../target/x86_64-unknown-linux-musl/debug/kubectl-drover"), arguments)
    }

    /// Runs `kubectl drover`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn drover(&self, arguments: &[&str]) -> Result<Answer> {
        answer(self.plugin(arguments)).await
    }

    /// Runs `kubectl`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Answer> {
        answer(self.command(&tool("kubectl"), arguments)).await
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(root()).env("KUBECONFIG", self.kubeconfig()).env("HOME", self.home());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

async fn answer(mut command: Command) -> Result<Answer> {
    let output = tokio::time::timeout(super::PATIENCE, command.output());
    let output = output.await.with_context(|| format!("{command:?} does not end"))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Answer { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// The admin's kubeconfig with a token in the place of the admin's certificate.
fn write_kubeconfig(admin: &Path, path: &Path, namespace: &str, token: &str) -> Result<()> {
    let admin = Kubeconfig::read_from(admin)?;
    let name = admin.current_context.as_deref().context("the kubeconfig has no current context")?;
    let context = admin.contexts.iter().find(|context| context.name == name).and_then(|named| named.context.as_ref());
    let cluster = &context.context("the kubeconfig's context is not there")?.cluster;
    let cluster = admin.clusters.iter().find(|known| known.name == *cluster).context("no such cluster")?;
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{ "name": "user", "user": { "token": token } }],
        "contexts": [{ "name": "user", "context": { "cluster": cluster.name, "user": "user", "namespace": namespace } }],
        "current-context": "user",
    });
    Ok(std::fs::write(path, config.to_string())?)
}

/// Lets tenants reach the gateway through the API server, since this machine is not part of the cluster's network.
pub(super) async fn let_users_forward(client: &Client) -> Result<()> {
    const NAME: &str = "drover-suite-forward";
    let role = json!({
        "metadata": { "name": NAME },
        "rules": [
            { "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"] },
            { "apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"] },
        ],
    });
    apply::<NamespacedRole>(client, NAMESPACE, role).await?;
    let binding = json!({
        "metadata": { "name": NAME },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:serviceaccounts" }],
    });
    apply::<RoleBinding>(client, NAMESPACE, binding).await?;
    Ok(())
}
