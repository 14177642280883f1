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
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

async fn start(router: Router, drain: Duration) -> Fixture {
    start_within(LIMITS, router, drain).await
}

async fn start_within(limits: Limits, router: Router, drain: Duration) -> Fixture {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.server().leaf()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = Server { tls: tls.clone(), router, stop: stop.clone(), limits };
    let server = tokio::spawn(serve_within(listener, server, drain));
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

/// What an HTTP/2 client begins with: the preface and empty settings.
const HTTP2_START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
const SOON: Duration = Duration::from_millis(50);
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_connection_without_a_request_is_closed_whatever_it_speaks() {
    let limits = Limits { idle: 2 * SOON, head: NEVER, linger: SOON, ..LIMITS };
    let fixture = start_within(limits, Router::new().route("/", get(who)), Duration::ZERO).await;
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".as_slice();
    for (protocol, said) in [
        (b"http/1.1".as_slice(), b"".as_slice()),
        (b"http/1.1", b"GET / HT"),
        (b"http/1.1", request),
        (b"h2", b""),
        (b"h2", b"PRI * HTTP/2.0"),
        (b"h2", HTTP2_START),
    ] {
        let mut stream = fixture.authority.connect_for(protocol, fixture.address, None).await.unwrap();
        stream.write_all(said).await.unwrap();
        // How it ends does not matter, but that it does.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(said == request, rest.ends_with(b"nobody"));
    }
}

#[tokio::test]
async fn a_request_without_its_head_is_not_waited_for() {
    let limits = Limits { idle: NEVER, head: SOON, ..LIMITS };
    let fixture = start_within(limits, Router::new(), Duration::ZERO).await;
    for said in ["", "GET / HT"] {
        let mut stream = fixture.authority.connect(fixture.address, None).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn a_request_in_flight_is_not_idle() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let limits = Limits { idle: 6 * SOON, linger: Duration::ZERO, ..LIMITS };
    let fixture = start_within(limits, slow(Arc::clone(&entered), Arc::clone(&release)), Duration::ZERO).await;
    let wait = async {
        entered.notified().await;
        tokio::time::sleep(12 * SOON).await;
        release.notify_one();
    };
    let (answer, ()) = tokio::join!(fixture.ask(None), wait);
    assert!(answer.unwrap().ends_with("done"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let (begun, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (started, dropped) = (Arc::clone(&begun), Arc::clone(&ended));
    let endless = async move || {
        let tell = NotifyOnDrop(Arc::clone(&dropped));
        started.notify_one();
        axum::body::Body::from_stream(futures::stream::repeat_with(move || {
            let _ = &tell;
            Ok::<_, io::Error>(axum::body::Bytes::from_static(&[0; 65536]))
        }))
    };
    let limits = Limits { stall: SOON, ..LIMITS };
    let fixture = start_within(limits, Router::new().route("/", get(endless)), Duration::ZERO).await;
    let mut stream = fixture.authority.connect(fixture.address, None).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    begun.notified().await;
    ended.notified().await;
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let limits = Limits { per_peer: 2, ..LIMITS };
    let fixture = start_within(limits, Router::new().route("/", get(who)), Duration::ZERO).await;
    let first = fixture.authority.connect(fixture.address, None).await.unwrap();
    let _second = fixture.authority.connect(fixture.address, None).await.unwrap();
    assert!(fixture.ask(None).await.is_err());
    drop(first);
    // The place is free once the server has seen the end.
    while fixture.ask(None).await.is_err() {
        tokio::task::yield_now().await;
    }
}
