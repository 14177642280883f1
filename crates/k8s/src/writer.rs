//! The writer: every write to the Kubernetes API goes through here, and is counted.
#![expect(clippy::disallowed_methods, reason = "this is the one place that writes")]

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// Why a write was not made.
#[derive(Debug, thiserror::Error)]
#[error("the Kubernetes API did not take the write")]
pub struct Error(#[from] kube::Error);

impl Error {
    /// The answer of the API server, where it gave one.
    #[must_use]
    pub fn answer(&self) -> Option<&kube::core::Status> {
        match &self.0 {
            kube::Error::Api(status) => Some(status),
            _ => None,
        }
    }

    /// The object is not as it was planned for: another version, gone, already there, or another object of the name.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.answer().is_some_and(|s| s.code == 409)
    }

    /// There is no such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.answer().is_some_and(|s| s.code == 404)
    }

    /// There is an object of that name already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.answer().is_some_and(|s| s.code == 409 && s.reason == "AlreadyExists")
    }

    /// A JSON patch was not applied because one of its tests failed, or the object is not valid.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.answer().is_some_and(|s| s.code == 422)
    }
}

/// Counts writes by verb and kind.
pub type Counts = BTreeMap<(&'static str, String), u64>;

/// Writes to the Kubernetes API in the name of one field manager. Clones share their counts.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    manager: &'static str,
    counts: Arc<Mutex<Counts>>,
}

/// What the writer writes: objects in a namespace.
pub trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl Writer {
    /// A writer that appears as `manager` in the objects' managedFields.
    #[must_use]
    pub fn new(client: Client, manager: &'static str) -> Self {
        Self { client, manager, counts: Arc::default() }
    }

    /// How many writes were tried so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count<K: Object>(&self, verb: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((verb, K::kind(&()).into_owned())).or_default() += 1;
    }

    fn api<K: Object>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn patch_params(&self) -> PatchParams {
        PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() }
    }

    fn post_params(&self) -> PostParams {
        PostParams { field_manager: Some(self.manager.to_owned()), ..PostParams::default() }
    }

    /// Creates an object in its namespace.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn create<K: Object>(&self, object: &K) -> Result<K, Error> {
        self.count::<K>("create");
        let namespace = object.namespace().unwrap_or_default();
        Ok(self.api::<K>(&namespace).create(&self.post_params(), object).await?)
    }

    /// Replaces an object, if it is still at the version that `object` carries.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn replace<K: Object>(&self, object: &K) -> Result<K, Error> {
        self.count::<K>("update");
        let namespace = object.namespace().unwrap_or_default();
        Ok(self.api::<K>(&namespace).replace(&object.name_any(), &self.post_params(), object).await?)
    }

    /// Replaces the status of an object, if the object is still at the version that `planned_from` carries.
    ///
    /// # Errors
    /// When the API server does not take it; [`Error::is_conflict`] for another version.
    pub async fn status<K: Object, S: Serialize>(&self, planned_from: &K, status: &S) -> Result<K, Error> {
        // Setting the version to what it is makes the API server compare it; a `test` would be a 422 instead.
        let patch = json!([
            { "op": "add", "path": "/metadata/resourceVersion", "value": planned_from.resource_version() },
            { "op": "add", "path": "/status", "value": status },
        ]);
        let namespace = planned_from.namespace().unwrap_or_default();
        self.json_patch_status(&namespace, &planned_from.name_any(), patch).await
    }

    /// Patches an object by a JSON patch (RFC 6902).
    ///
    /// # Errors
    /// When the API server does not take it; [`Error::is_invalid`] when a test of the patch failed.
    pub async fn json_patch<K: Object>(
        &self,
        namespace: &str,
        name: &str,
        patch: serde_json::Value,
    ) -> Result<K, Error> {
        self.count::<K>("patch");
        let patch = Patch::<K>::Json(serde_json::from_value(patch).map_err(kube::Error::SerdeError)?);
        Ok(self.api::<K>(namespace).patch(name, &self.patch_params(), &patch).await?)
    }

    /// Patches an object by a JSON patch (RFC 6902) through its subresource `status`.
    ///
    /// # Errors
    /// When the API server does not take it; [`Error::is_invalid`] when a test of the patch failed.
    pub async fn json_patch_status<K: Object>(
        &self,
        namespace: &str,
        name: &str,
        patch: serde_json::Value,
    ) -> Result<K, Error> {
        self.count::<K>("status");
        let patch = Patch::<K>::Json(serde_json::from_value(patch).map_err(kube::Error::SerdeError)?);
        Ok(self.api::<K>(namespace).patch_status(name, &self.patch_params(), &patch).await?)
    }

    /// Patches an object by a JSON merge patch (RFC 7386).
    ///
    /// # Errors
    /// When the API server does not take it; [`Error::is_conflict`] when the patch names another uid or version.
    pub async fn merge_patch<K: Object>(
        &self,
        namespace: &str,
        name: &str,
        patch: serde_json::Value,
    ) -> Result<K, Error> {
        self.count::<K>("patch");
        Ok(self.api::<K>(namespace).patch(name, &self.patch_params(), &Patch::Merge(patch)).await?)
    }

    /// Asks for the deletion of the object that has this very uid. `grace` is how many seconds its containers have to
    /// end; `None` as the object itself says.
    ///
    /// # Errors
    /// When the API server does not take it; [`Error::is_conflict`] when the name has another uid by now.
    pub async fn delete<K: Object>(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        grace: Option<u32>,
    ) -> Result<(), Error> {
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams {
            preconditions: Some(preconditions),
            grace_period_seconds: grace,
            ..DeleteParams::background()
        };
        self.delete_with::<K>(namespace, name, &params).await
    }

    /// Asks for the deletion of whatever object has the name.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn delete_named<K: Object>(&self, namespace: &str, name: &str) -> Result<(), Error> {
        self.delete_with::<K>(namespace, name, &DeleteParams::background()).await
    }

    async fn delete_with<K: Object>(&self, namespace: &str, name: &str, params: &DeleteParams) -> Result<(), Error> {
        self.count::<K>("delete");
        self.api::<K>(namespace).delete(name, params).await?;
        Ok(())
    }
}
