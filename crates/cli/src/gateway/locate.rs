//! Where the gateway is, as the cluster announces it to every authenticated user.

use std::collections::BTreeMap;

use drover_api::names;
use http::Uri;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};

use super::Error;
use crate::cluster::Cluster;

/// The gateway's address, and whom to trust for it.
#[derive(Debug)]
pub(crate) struct Location {
    /// The base URL, without a slash at its end.
    pub(crate) url: String,
    /// Host and port as the `Host` header has them.
    pub(crate) authority: String,
    /// The host alone, to connect to.
    pub(crate) host: String,
    /// The port to connect to.
    pub(crate) port: u16,
    /// What is in front of `/api` in every path; empty, or beginning with a slash.
    pub(crate) base_path: String,
    /// The name that the gateway's certificate must bear.
    pub(crate) server_name: ServerName<'static>,
    /// The only authorities that are trusted, DER.
    pub(crate) authorities: Vec<Vec<u8>>,
}

/// Reads the announcement in Drover's namespace.
pub(crate) async fn locate(cluster: &Cluster) -> Result<Location, Error> {
    let namespace = &cluster.drover_namespace;
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let map = api.get_opt(names::GATEWAY_CONFIG_MAP).await?.ok_or_else(|| Error::NotAnnounced(namespace.clone()))?;
    Location::read(&map.data.unwrap_or_default())
        .map_err(|why| Error::WronglyAnnounced(format!("{namespace}/{}", names::GATEWAY_CONFIG_MAP), why))
}

impl Location {
    /// Reads the data of the announcement; an error is a phrase for the platform admin.
    fn read(data: &BTreeMap<String, String>) -> Result<Self, String> {
        let value = |key: &str| data.get(key).map(|v| v.trim()).ok_or_else(|| format!("key {key} is missing"));
        let url = value(names::GATEWAY_URL_KEY)?.trim_end_matches('/');
        let uri: Uri = url.parse().map_err(|_| format!("{url:?} is not a URL"))?;
        if uri.scheme() != Some(&http::uri::Scheme::HTTPS) || uri.query().is_some() {
            return Err(format!("{url:?} is not an https URL"));
        }
        let authority = uri.authority().ok_or_else(|| format!("{url:?} has no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let server_name = ServerName::try_from(host.clone()).map_err(|_| format!("{host:?} is not a host name"))?;
        Ok(Self {
            url: url.to_owned(),
            authority: authority.to_string(),
            port: authority.port_u16().unwrap_or(443),
            base_path: uri.path().trim_end_matches('/').to_owned(),
            authorities: authorities(value(names::GATEWAY_CA_KEY)?)?,
            server_name,
            host,
        })
    }
}

fn authorities(pem: &str) -> Result<Vec<Vec<u8>>, String> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).map(|c| c.map(|der| der.to_vec())).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("key {} does not hold a certificate in PEM", names::GATEWAY_CA_KEY)),
    }
}

#[cfg(test)]
mod tests;
