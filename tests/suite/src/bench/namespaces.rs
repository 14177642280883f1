//! Namespaces that are at rest before anything is measured in them.

use std::{
    collections::HashSet,
    fmt::Debug,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;

/// How long the controllers of new namespaces are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What those controllers put into every namespace.
const ACCOUNT: &str = "default";
const AUTHORITY: &str = "kube-root-ca.crt";

/// Makes those namespaces that are not there, and waits until their controllers are done with them, so that their burst
/// is not measured. Returns the names of those that it made.
pub(super) async fn make(client: &Client, names: &[String]) -> Result<HashSet<String>> {
    let mut made = HashSet::new();
    for name in names {
        if create(client, name).await? {
            made.insert(name.clone());
        }
    }
    let accounts: Api<ServiceAccount> = Api::all(client.clone());
    until_everywhere(&accounts, ACCOUNT, names).await?;
    let authorities: Api<ConfigMap> = Api::all(client.clone());
    // An API server without a node may be without the controller that publishes it.
    if !having(&authorities, AUTHORITY).await?.is_empty() {
        until_everywhere(&authorities, AUTHORITY, names).await?;
    }
    Ok(made)
}

/// Whether the namespace was not there before.
async fn create(client: &Client, name: &str) -> Result<bool> {
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    match Api::all(client.clone()).create(&PostParams::default(), &namespace).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn until_everywhere<K>(api: &Api<K>, object: &str, namespaces: &[String]) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let began = Instant::now();
    loop {
        let having = having(api, object).await?;
        if namespaces.iter().all(|namespace| having.contains(namespace)) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "not every new namespace got its {} {object}", K::kind(&()));
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The namespaces that have an object of that name.
async fn having<K>(api: &Api<K>, object: &str) -> Result<HashSet<String>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let named = ListParams::default().fields(&format!("metadata.name={object}"));
    Ok(api.list(&named).await?.into_iter().filter_map(|object| object.namespace()).collect())
}
