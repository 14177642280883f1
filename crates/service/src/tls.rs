//! TLS of servers: a certificate that can be exchanged while connections are open, and client certificates that are
//! verified when they are shown.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};

/// Why TLS could not be set up. No text of a key is ever part of it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate is not PEM, or there is none.
    #[error("the certificate is not valid PEM, or holds no certificate")]
    Certificate,
    /// The key is not PEM, or there is none.
    #[error("the private key is not valid PEM, or holds no key")]
    Key,
    /// Key and certificate do not fit, or their kind is not supported.
    #[error("the certificate and its private key cannot be used")]
    Pair(#[source] rustls::Error),
    /// The certificate authorities of clients cannot be used.
    #[error("the certificate authorities of clients cannot be used: {0}")]
    ClientAuthorities(String),
    /// The versions of TLS are not supported.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// A serving certificate with its chain and private key.
#[derive(Clone, Debug)]
pub struct Leaf(Arc<CertifiedKey>);

impl Leaf {
    /// Reads a certificate chain, the leaf first, and the leaf's private key.
    ///
    /// # Errors
    /// When one of them is not PEM or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(chain).ok_or(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map(|pair| Self(Arc::new(pair)))
            .map_err(TlsError::Pair)
    }
}

/// The certificates in a PEM text; `None` when it is not PEM or holds none.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!chain.is_empty()).then_some(chain)
}

/// The TLS side of a server. Clones share it. What is exchanged holds for connections made from then on; the ones that
/// are open go on undisturbed.
///
/// Sessions are not resumed: a client that resumes would not be verified against authorities that changed since.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<RwLock<Current>>);

#[derive(Debug)]
struct Current {
    leaf: Leaf,
    /// What `clients` was made from, PEM.
    authorities: Option<Vec<u8>>,
    clients: Arc<dyn ClientCertVerifier>,
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Serves with `leaf` and asks for no client certificates.
    ///
    /// # Errors
    /// When TLS cannot be set up with this certificate.
    pub fn new(leaf: Leaf) -> Result<Self, TlsError> {
        let clients = WebPkiClientVerifier::no_client_auth();
        let config = config(&leaf, &clients)?;
        Ok(Self(Arc::new(RwLock::new(Current { leaf, authorities: None, clients, config }))))
    }

    /// Serves new connections with `leaf`; nothing changes when that is the present one.
    ///
    /// # Errors
    /// When TLS cannot be set up with this certificate; the old one stays.
    pub fn set_leaf(&self, leaf: Leaf) -> Result<(), TlsError> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // The certificate says which key belongs to it.
        if current.leaf.0.cert == leaf.0.cert {
            return Ok(());
        }
        current.config = config(&leaf, &current.clients)?;
        current.leaf = leaf;
        Ok(())
    }

    /// Asks clients for a certificate and verifies it against the authorities in `pem`. A client may show none; one
    /// that shows a certificate of somebody else is refused. With `None` no certificates are asked for.
    ///
    /// # Errors
    /// When the authorities cannot be used; what held before stays.
    pub fn set_client_authorities(&self, pem: Option<&[u8]>) -> Result<(), TlsError> {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).authorities.as_deref() == pem {
            return Ok(());
        }
        let clients = match pem {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(pem) => client_verifier(pem)?,
        };
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        current.config = config(&current.leaf, &clients)?;
        current.clients = clients;
        current.authorities = pem.map(<[u8]>::to_vec);
        Ok(())
    }

    /// What a connection that is made now is served with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).config)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn client_verifier(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let authorities =
        certificates(pem).ok_or_else(|| TlsError::ClientAuthorities("they are not valid PEM".to_owned()))?;
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|error| TlsError::ClientAuthorities(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::ClientAuthorities(error.to_string()))
}

fn config(leaf: &Leaf, clients: &Arc<dyn ClientCertVerifier>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_client_cert_verifier(Arc::clone(clients))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&leaf.0))));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[cfg(test)]
pub(crate) mod tests;
