//! The gateway's certificates: a long-lived authority whose certificate runner pods trust, and the gateway's own
//! certificate, which is renewed in time.
//!
//! The authority's key never leaves the operator and its Secret. What everybody may know, the gateway's address and
//! the authority's certificate, stands in a ConfigMap.

mod issue;

use std::{collections::BTreeMap, time::Duration};

use drover_api::names::{CA_SECRET, GATEWAY_CA_KEY, GATEWAY_CONFIG_MAP, GATEWAY_TLS_SECRET, GATEWAY_URL_KEY, label};
use drover_k8s::writer::{self, Object, Writer};
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client};

use crate::Options;
use issue::Pair;

/// Why the certificates cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A Secret or ConfigMap could not be read.
    #[error("{0} cannot be read")]
    Read(&'static str, #[source] kube::Error),
    /// A Secret or ConfigMap could not be written.
    #[error("{0} cannot be written")]
    Write(&'static str, #[source] writer::Error),
    /// A certificate could not be made.
    #[error("a certificate cannot be made")]
    Issue(#[from] rcgen::Error),
    /// The stored authority cannot be used. It is not replaced by itself, because runner pods trust it.
    #[error(
        "the Secret {CA_SECRET} does not hold a certificate authority: restore it, or delete it to have a new one made"
    )]
    Authority,
}

/// Keeps the certificates.
pub(crate) struct Trust {
    client: Client,
    writer: Writer,
    namespace: String,
    url: String,
    names: Vec<String>,
    look_again: Timestamp,
}

/// How soon it is looked again whether all is in place.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The keys of a Secret of type `kubernetes.io/tls`.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

impl Trust {
    pub(crate) fn new(client: Client, writer: Writer, options: &Options) -> Self {
        Self {
            client,
            writer,
            namespace: options.namespace.clone(),
            url: options.gateway_url.clone(),
            names: options.gateway_dns_names.clone(),
            look_again: Timestamp::MIN,
        }
    }

    /// Makes what is missing or due, and returns the authority's certificate, PEM.
    pub(crate) async fn ensure(&mut self, now: Timestamp) -> Result<String, Error> {
        let authority = self.authority(now).await?;
        self.leaf(&authority, now).await?;
        self.publish(&authority.certificate).await?;
        self.look_again = now + LOOK_AGAIN;
        Ok(authority.certificate)
    }

    /// Looks once a minute whether something is missing or due. Returns the authority's certificate when it looked.
    pub(crate) async fn keep(&mut self, now: Timestamp) -> Result<Option<String>, Error> {
        if now < self.look_again {
            return Ok(None);
        }
        self.ensure(now).await.map(Some)
    }

    async fn authority(&self, now: Timestamp) -> Result<Pair, Error> {
        if let Some(secret) = self.get::<Secret>(CA_SECRET).await? {
            return pair(&secret).ok_or(Error::Authority);
        }
        let pair = issue::authority(now)?;
        match self.writer.create(&self.secret(CA_SECRET, &pair, None)).await {
            Ok(_) => {
                tracing::info!(secret = CA_SECRET, "made a certificate authority");
                Ok(pair)
            }
            Err(error) => Err(Error::Write(CA_SECRET, error)),
        }
    }

    /// Sees to the gateway's own certificate, which is renewed once two thirds of its life are over.
    async fn leaf(&self, authority: &Pair, now: Timestamp) -> Result<(), Error> {
        let present = self.get::<Secret>(GATEWAY_TLS_SECRET).await?;
        let due = present.as_ref().and_then(pair).and_then(|pair| issue::due(&pair, authority, &self.names));
        if due.is_some_and(|due| due > now) {
            return Ok(());
        }
        let pair = issue::leaf(authority, &self.names, now)?;
        let version = present.and_then(|secret| secret.metadata.resource_version);
        self.put(GATEWAY_TLS_SECRET, self.secret(GATEWAY_TLS_SECRET, &pair, version)).await?;
        tracing::info!(secret = GATEWAY_TLS_SECRET, "made a certificate for the gateway");
        Ok(())
    }

    async fn publish(&self, certificate: &str) -> Result<(), Error> {
        let data = BTreeMap::from([
            (GATEWAY_URL_KEY.to_owned(), self.url.clone()),
            (GATEWAY_CA_KEY.to_owned(), certificate.to_owned()),
        ]);
        let present = self.get::<ConfigMap>(GATEWAY_CONFIG_MAP).await?;
        if present.as_ref().is_some_and(|map| map.data.as_ref() == Some(&data)) {
            return Ok(());
        }
        let version = present.and_then(|map| map.metadata.resource_version);
        let metadata = self.metadata(GATEWAY_CONFIG_MAP, version);
        self.put(GATEWAY_CONFIG_MAP, ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }).await
    }

    async fn get<K: Object>(&self, name: &'static str) -> Result<Option<K>, Error> {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        api.get_opt(name).await.map_err(|error| Error::Read(name, error))
    }

    /// Creates an object, or replaces it when it carries a version.
    async fn put<K: Object>(&self, name: &'static str, object: K) -> Result<(), Error> {
        let written = match object.meta().resource_version {
            Some(_) => self.writer.replace(&object).await,
            None => self.writer.create(&object).await,
        };
        written.map(drop).map_err(|error| Error::Write(name, error))
    }

    fn secret(&self, name: &str, pair: &Pair, version: Option<String>) -> Secret {
        let data = [(CERTIFICATE, &pair.certificate), (KEY, &pair.key)];
        Secret {
            metadata: self.metadata(name, version),
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(data.map(|(key, pem)| (key.to_owned(), ByteString(pem.clone().into_bytes()))).into()),
            ..Secret::default()
        }
    }

    fn metadata(&self, name: &str, resource_version: Option<String>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some([(label::MANAGED_BY.to_owned(), label::DROVER.to_owned())].into()),
            resource_version,
            ..ObjectMeta::default()
        }
    }
}

fn pair(secret: &Secret) -> Option<Pair> {
    let text = |key| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
    let pair = Pair { certificate: text(CERTIFICATE)?, key: text(KEY)? };
    issue::is_usable(&pair).then_some(pair)
}
