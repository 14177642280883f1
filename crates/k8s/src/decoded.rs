//! Objects that may not be readable, one by one: a list in which one object cannot be decoded is still a list of the
//! others.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// An object as it came from the API server, decoded or not.
#[derive(Clone, Debug)]
pub struct Decoded<K> {
    metadata: ObjectMeta,
    /// The object, or what cannot be read about it.
    pub object: Result<K, String>,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Decoded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct OnlyMetadata {
            #[serde(default)]
            metadata: ObjectMeta,
        }
        let value = serde_json::Value::deserialize(deserializer)?;
        let OnlyMetadata { metadata } = OnlyMetadata::deserialize(&value).map_err(serde::de::Error::custom)?;
        let object = serde_json::from_value(value).map_err(|error| error.to_string());
        Ok(Self { metadata, object })
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Decoded<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests;
