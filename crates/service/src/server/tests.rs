use axum::{Extension, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    task::JoinHandle,
};

use super::*;
use crate::tls::tests::{Authority, Pair};

struct Fixture {
    authority: Authority,
    tls: ServerTls,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

async fn start(router: Router, drain: Duration) -> Fixture {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.server().leaf()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, tls.clone(), router, stop.clone(), drain));
    Fixture { authority, tls, address, stop, server }
}

impl Fixture {
    async fn ask(&self, client: Option<&Pair>) -> io::Result<String> {
        let mut stream = self.authority.connect(self.address, client).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

async fn who(Extension(peer): Extension<PeerCertificate>) -> String {
    match peer.0 {
        None => "nobody".to_owned(),
        Some(certificate) => format!("certificate of {} bytes", certificate.len()),
    }
}

#[tokio::test]
async fn only_certificates_of_the_authorities_are_taken_and_none_is_fine() {
    let fixture = start(Router::new().route("/", get(who)), Duration::from_secs(5)).await;
    let (theirs, other) = (fixture.authority.client("ada"), Authority::new().client("mallory"));
    assert!(fixture.ask(Some(&theirs)).await.unwrap().ends_with("nobody"), "not asked for, so not shown");

    fixture.tls.set_client_authorities(Some(fixture.authority.pem().as_bytes())).unwrap();
    assert!(fixture.ask(Some(&theirs)).await.unwrap().contains("certificate of"));
    assert!(fixture.ask(None).await.unwrap().ends_with("nobody"));
    assert!(fixture.ask(Some(&other)).await.is_err());
}

#[tokio::test]
async fn a_new_leaf_serves_new_connections() {
    let fixture = start(Router::new().route("/", get(who)), Duration::from_secs(5)).await;
    let leaf = async || {
        let stream = fixture.authority.connect(fixture.address, None).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let old = leaf().await;
    assert_eq!(leaf().await, old);
    fixture.tls.set_leaf(fixture.authority.server().leaf()).unwrap();
    assert_ne!(leaf().await, old);
}

#[tokio::test]
async fn a_client_that_says_nothing_holds_up_nobody() {
    let fixture = start(Router::new().route("/", get(who)), Duration::ZERO).await;
    let _silent = TcpStream::connect(fixture.address).await.unwrap();
    assert!(fixture.ask(None).await.unwrap().ends_with("nobody"));
}

/// A router whose one request waits for the notification.
fn slow(entered: Arc<Notify>, release: Arc<Notify>) -> Router {
    let handler = async move || {
        entered.notify_one();
        release.notified().await;
        "done"
    };
    Router::new().route("/", get(handler))
}

#[tokio::test]
async fn stopping_lets_a_request_in_flight_end() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let fixture = start(slow(Arc::clone(&entered), Arc::clone(&release)), Duration::from_secs(60)).await;
    let ask = fixture.ask(None);
    let stop = async {
        entered.notified().await;
        fixture.stop.cancel();
        release.notify_one();
    };
    let (answer, ()) = tokio::join!(ask, stop);
    assert!(answer.unwrap().ends_with("done"));
    fixture.server.await.unwrap();
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let fixture = start(slow(Arc::clone(&entered), release), Duration::from_millis(10)).await;
    let stop = async {
        entered.notified().await;
        fixture.stop.cancel();
    };
    let (answer, ()) = tokio::join!(fixture.ask(None), stop);
    assert!(!answer.unwrap_or_default().contains("done"));
    fixture.server.await.unwrap();
}
