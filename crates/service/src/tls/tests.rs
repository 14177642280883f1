use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

/// A certificate authority of a test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn server(&self) -> Pair {
        self.issue(CertificateParams::new(vec!["localhost".to_owned()]).unwrap())
    }

    pub(crate) fn client(&self, user: &str) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    fn issue(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        Pair { chain: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    /// Connects as somebody who trusts this authority, with a certificate if one is given.
    pub(crate) async fn connect(
        &self,
        address: std::net::SocketAddr,
        client: Option<&Pair>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_for(b"http/1.1", address, client).await
    }

    /// Connects to speak `protocol`.
    pub(crate) async fn connect_for(
        &self,
        protocol: &[u8],
        address: std::net::SocketAddr,
        client: Option<&Pair>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match client {
            None => builder.with_no_client_auth(),
            Some(pair) => builder
                .with_client_auth_cert(
                    certificates(pair.chain.as_bytes()).unwrap(),
                    PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }
}

impl Pair {
    pub(crate) fn leaf(&self) -> Leaf {
        Leaf::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_without_its_text() {
    let (one, other) = (Authority::new().server(), Authority::new().server());
    let error = |chain: &str, key: &str| Leaf::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
    assert!(matches!(error("", &one.key), TlsError::Certificate));
    assert!(matches!(error(&one.chain, "nonsense"), TlsError::Key));
    assert!(matches!(error(&one.chain, &other.key), TlsError::Pair(_)));
}

#[test]
fn authorities_that_cannot_be_used_leave_the_old_ones() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.server().leaf()).unwrap();
    tls.set_client_authorities(Some(authority.pem().as_bytes())).unwrap();
    let before = tls.config();
    assert!(matches!(tls.set_client_authorities(Some(b"nonsense")), Err(TlsError::ClientAuthorities(_))));
    assert!(Arc::ptr_eq(&before, &tls.config()));
}

#[test]
fn what_has_not_changed_is_not_exchanged() {
    let (authority, other) = (Authority::new(), Authority::new());
    let pair = authority.server();
    let tls = ServerTls::new(pair.leaf()).unwrap();
    tls.set_client_authorities(Some(authority.pem().as_bytes())).unwrap();
    let before = tls.config();
    tls.set_leaf(pair.leaf()).unwrap();
    tls.set_client_authorities(Some(authority.pem().as_bytes())).unwrap();
    assert!(Arc::ptr_eq(&before, &tls.config()));
    tls.set_client_authorities(Some(other.pem().as_bytes())).unwrap();
    let after = tls.config();
    assert!(!Arc::ptr_eq(&before, &after));
    tls.set_leaf(authority.server().leaf()).unwrap();
    assert!(!Arc::ptr_eq(&after, &tls.config()));
}
