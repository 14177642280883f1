//! What an agent can get at, and what must stand nowhere.

use anyhow::{Context, Result};
use drover_api::{Session, state::Phase};
use drover_suite::installed::{NAMESPACE, Tenant, said};
use k8s_openapi::{
    ByteString,
    api::{
        core::v1::{ConfigMap, Pod},
        events::v1::Event,
    },
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams, PostParams},
};
use serde_json::{Value, json};

/// Says what it finds, a line each: a word, `=`, and what was found.
const LOOK_AROUND: &str = r#"
say() { printf '%s=%s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"; }
say token "$(ls /var/run/secrets /run/secrets /drover/token 2>/dev/null)"
say environment "$(env | grep -c '^DROVER_')"
say ancestors "$(cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -c '^DROVER_')"
say processes "$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -c 'brok[e]r')"
say user "$(id -u)"
say root "$(touch /drover-was-here 2>&1)"
say programs "$(touch /drover/bin/x 2>&1)"
say capabilities "$(grep -h CapEff /proc/self/status | tr -d '\t')"
say privileges "$(grep -h NoNewPrivs /proc/self/status | tr -d '\t')"
say seccomp "$(grep -h '^Seccomp:' /proc/self/status | tr -d '\t')"
say jwts "$(grep -rls eyJ /drover/run /home /tmp /workspace | grep -v prompt)"
"#;

#[tokio::test]
async fn an_agent_finds_nothing_to_steal() -> Result<()> {
    let tenant = Tenant::new("agent").await?;
    let session = tenant.run("look", json!({ "prompt": LOOK_AROUND })).await?;
    let log = tenant.log("look").await?;
    assert_eq!(session.status.map(|status| status.phase), Some(Phase::Succeeded), "{log:?}");
    let found = |what: &str| {
        let lines = said(&log);
        let line = lines.iter().find_map(|line| line.strip_prefix(what)?.strip_prefix('=').map(str::to_owned));
        line.with_context(|| format!("{what} is not among {lines:?}"))
    };
    for (what, expected) in [
        ("token", ""),
        ("environment", "0"),
        ("ancestors", "0"),
        ("processes", "0"),
        ("user", "65532"),
        ("capabilities", "CapEff:0000000000000000"),
        ("privileges", "NoNewPrivs:1"),
        ("seccomp", "Seccomp:2"),
        ("jwts", ""),
    ] {
        assert_eq!(found(what)?, expected, "{what}");
    }
    for what in ["root", "programs"] {
        assert!(found(what)?.contains("Read-only file system"), "{}", found(what)?);
    }
    Ok(())
}

/// The image holds one static program and nothing else, so this shows also that an image needs nothing to run an agent.
#[tokio::test]
async fn the_api_server_does_not_know_an_agent() -> Result<()> {
    let tenant = Tenant::new("anonymous").await?;
    let maps: Api<ConfigMap> = Api::namespaced(tenant.client.clone(), "kube-system");
    let authority = maps.get("kube-root-ca.crt").await?.data.and_then(|mut data| data.remove("ca.crt"));
    let authority = ByteString(authority.context("the cluster's authority")?.into_bytes());
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": "https://kubernetes.default.svc", "certificate-authority-data": authority } }],
        "users": [{ "name": "u", "user": {} }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u", "namespace": tenant.namespace } }],
    });
    let session = tenant.run("ask", json!({ "framework": "bare", "prompt": kubeconfig.to_string() })).await?;
    let log = tenant.log("ask").await?;
    let refused = said(&log).iter().any(|line| line.contains("system:anonymous") && line.contains("forbidden"));
    assert!(refused, "{log:?}");
    assert_eq!(session.status.and_then(|status| status.exit_code), Some(1));
    Ok(())
}

#[tokio::test]
async fn restricted_pod_security_holds_where_agents_run() -> Result<()> {
    let tenant = Tenant::new("restricted").await?;
    tenant.run("fits", json!({ "prompt": "true" })).await?;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "privileged" },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    }))?;
    let refused = tenant.pods().create(&PostParams::default(), &pod).await.unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity \"restricted"), "{refused}");
    Ok(())
}

/// Where tokens and private keys would stand if Drover were careless.
#[tokio::test]
async fn no_token_and_no_private_key_stands_anywhere() -> Result<()> {
    let tenant = Tenant::new("leaks").await?;
    tenant.create("works", json!({ "prompt": "echo hello | tee file", "artifacts": ["file"] })).await?;
    tenant.create("fails", json!({ "framework": "missing", "prompt": "hello" })).await?;
    tenant.ended("works").await?;
    tenant.ended("fails").await?;
    let client = &tenant.client;
    let mut looked_at = Vec::new();
    for namespace in [&tenant.namespace, NAMESPACE] {
        looked_at.push(everything::<Pod>(client, namespace).await?);
        looked_at.push(everything::<Event>(client, namespace).await?);
        looked_at.push(everything::<ConfigMap>(client, namespace).await?);
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        for pod in pods.list(&ListParams::default()).await? {
            let spec = pod.spec.as_ref().context("a pod without a spec")?;
            let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
            for container in containers {
                let params = LogParams { container: Some(container.name.clone()), ..LogParams::default() };
                // A container that never ran has no log.
                looked_at.push(pods.logs(&pod.name_any(), &params).await.unwrap_or_default());
            }
        }
    }
    looked_at.push(everything::<Session>(client, &tenant.namespace).await?);
    assert!(looked_at.iter().map(String::len).sum::<usize>() > 10_000, "there was something to look at");
    for text in &looked_at {
        for secret in ["eyJ", "PRIVATE KEY"] {
            if let Some(at) = text.find(secret) {
                let around: String = text[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
                panic!("{secret:?} stands behind {around}");
            }
        }
    }
    Ok(())
}

/// All objects of a kind, as text.
async fn everything<K>(client: &Client, namespace: &str) -> Result<String>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let objects = Api::<K>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?;
    let values = objects.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>()?;
    Ok(Value::from(values).to_string())
}
