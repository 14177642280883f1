//! The whole gateway on loopback, with TLS.

use std::{net::SocketAddr, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Parser;
use drover_service::{server, tls::ServerTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use reqwest::{Certificate, Identity, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    cluster::Cluster,
    fake::{ARTIFACTS, Fixture, POD_TOKEN},
};
use crate::{
    Clients, Config, Listeners,
    tls_source::{PortsTls, TlsSource},
};

const SECRET: &str = "/api/v1/namespaces/drover/secrets/drover-gateway-tls";
const AUTHENTICATION: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The Secret that the operator makes.
    fn secret(&self) -> serde_json::Value {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let data = json!({"tls.crt": STANDARD.encode(leaf.pem()), "tls.key": STANDARD.encode(key.serialize_pem())});
        json!({"metadata": {"name": "drover-gateway-tls"}, "data": data})
    }

    fn client(&self, user: &str, group: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.0).unwrap().pem() + &key.serialize_pem();
        Identity::from_pem(pem.as_bytes()).unwrap()
    }

    /// Somebody who trusts this authority and speaks to `address`.
    fn browser(&self, address: SocketAddr, identity: Option<Identity>) -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .tls_certs_only([Certificate::from_pem(self.0.pem().as_bytes()).unwrap()])
            .resolve("localhost", address);
        if let Some(identity) = identity {
            builder = builder.identity(identity);
        }
        builder.build().unwrap()
    }
}

fn client_authorities(cluster: &Cluster, authority: &Authority) {
    cluster.put(AUTHENTICATION, json!({"metadata": {}, "data": {"client-ca-file": authority.0.pem()}}));
}

#[tokio::test]
async fn the_gateway_waits_for_its_certificate_and_serves_until_it_is_stopped() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:0";
    let config = Config::parse_from([
        "drover-gateway",
        "--namespace",
        "drover",
        "--store",
        folder.path().to_str().unwrap(),
        "--listen-api",
        address,
        "--listen-runner",
        address,
        "--listen-admin",
        address,
    ]);
    let listeners = Listeners::bind(&config).await.unwrap();
    let ports = [&listeners.api, &listeners.runner, &listeners.admin].map(|port| port.local_addr().unwrap());
    let [api, runner, admin] = ports;
    let stop = CancellationToken::new();
    let (ours, users) = (Authority::new(), Authority::new());
    client_authorities(&fixture.cluster, &users);
    let gateway = tokio::spawn(crate::run(config, Clients::of(fixture.cluster.client()), listeners, stop.clone()));

    let readyz = async || {
        let answer = ours.browser(admin, None).get(format!("http://{admin}/readyz")).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert_eq!(readyz().await, (StatusCode::SERVICE_UNAVAILABLE, "waiting for the serving certificate\n".to_owned()));
    fixture.cluster.put(SECRET, ours.secret());
    while readyz().await.0 != StatusCode::OK {
        tokio::task::yield_now().await;
    }

    let url = format!("https://localhost:{}{ARTIFACTS}", api.port());
    let get = async |identity: Option<Identity>| ours.browser(api, identity).get(&url).send().await;
    assert_eq!(get(None).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(get(Some(users.client("ada", "dev"))).await.unwrap().status(), StatusCode::OK);
    assert_eq!(get(Some(users.client("eve", "dev"))).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert!(get(Some(ours.client("ada", "dev"))).await.is_err(), "a certificate of another authority");
    let bearer = ours.browser(api, None).get(&url).bearer_auth("ada").send().await.unwrap();
    assert_eq!((bearer.status(), bearer.version()), (StatusCode::OK, reqwest::Version::HTTP_2));

    let conversation = format!("https://localhost:{}/runner/v1/conversation", runner.port());
    let conversation = ours.browser(runner, None).get(conversation).bearer_auth(POD_TOKEN).send().await.unwrap();
    assert!(conversation.text().await.unwrap().contains(r#"{"id":"prompt","text":"echo hello"}"#));

    let metrics =
        ours.browser(admin, None).get(format!("http://{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    for expected in [
        r#"drover_gateway_requests_total{port="api",method="GET",route="/api/v1/namespaces/{namespace}/sessions/{name}/artifacts",status="200"} 2"#,
        r#"drover_gateway_reviews_total{kind="access",cache="miss"}"#,
        "drover_gateway_request_duration_seconds_bucket",
        "drover_gateway_sweep_freed_bytes_total",
        "drover_gateway_sweep_uploads_total",
    ] {
        assert!(metrics.contains(expected), "{expected} is missing in {metrics}");
    }
    stop.cancel();
    gateway.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_runs_takes_a_renewed_leaf_and_replaced_authorities() {
    let fixture = Fixture::new();
    let (ours, renewed, users, others) = (Authority::new(), Authority::new(), Authority::new(), Authority::new());
    fixture.cluster.put(SECRET, ours.secret());
    client_authorities(&fixture.cluster, &users);
    let source = TlsSource::new(&fixture.cluster.client(), "drover").refreshing_every(Duration::from_millis(5));
    let ports = source.wait().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let server = server::serve(listener, ports.api.clone(), fixture.public.clone(), stop.clone(), Duration::ZERO);
    let check = async {
        let url = format!("https://localhost:{}{ARTIFACTS}", address.port());
        let get = async |trusts: &Authority, by: &Authority| {
            trusts.browser(address, Some(by.client("ada", "dev"))).get(&url).send().await
        };
        assert_eq!(get(&ours, &users).await.unwrap().status(), StatusCode::OK);
        fixture.cluster.put(SECRET, renewed.secret());
        client_authorities(&fixture.cluster, &others);
        while get(&renewed, &others).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert!(get(&renewed, &users).await.is_err(), "of the replaced authority");
        assert!(get(&ours, &others).await.is_err(), "the old leaf");
        stop.cancel();
    };
    tokio::join!(server, source.keep(&ports, &stop), check);
}

#[tokio::test]
async fn renewed_certificates_and_changed_authorities_are_taken() {
    let cluster = Cluster::default();
    let (ours, users) = (Authority::new(), Authority::new());
    let source = TlsSource::new(&cluster.client(), "drover");
    let first = ours.secret();
    cluster.put(SECRET, first.clone());
    let ports: PortsTls = source.wait().await;
    let leaf = |tls: &ServerTls| format!("{tls:?}");
    let before = leaf(&ports.runner);
    cluster.put(SECRET, ours.secret());
    client_authorities(&cluster, &users);
    source.refresh(&ports).await.unwrap();
    let after = leaf(&ports.runner);
    assert_ne!(after, before);
    for (secret, message) in [
        (json!({"metadata": {}, "data": {}}), "the Secret drover-gateway-tls has no key tls.crt"),
        (
            json!({"metadata": {}, "data": {"tls.crt": "", "tls.key": ""}}),
            "the certificate is not valid PEM, or holds no certificate",
        ),
    ] {
        cluster.put(SECRET, secret);
        assert_eq!(source.refresh(&ports).await.unwrap_err().to_string(), message);
    }
    cluster.remove(SECRET);
    assert!(source.refresh(&ports).await.unwrap_err().to_string().contains("does not exist yet"));
    assert_eq!(leaf(&ports.runner), after, "what was there stays");
}
