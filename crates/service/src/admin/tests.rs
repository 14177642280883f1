use axum::body::{Body, to_bytes};
use axum::http::Request;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use super::*;

async fn get_text(router: &Router, path: &str) -> (StatusCode, String) {
    let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let readiness = Readiness::waiting("waiting for the certificate");
    let router = router(Admin { readiness: readiness.clone(), registry: Arc::new(Registry::default()) });
    assert_eq!(get_text(&router, "/healthz").await.0, StatusCode::OK);
    let (status, text) = get_text(&router, "/readyz").await;
    assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "waiting for the certificate\n"));
    readiness.ready();
    assert_eq!(get_text(&router, "/readyz").await.0, StatusCode::OK);
    readiness.not_ready("the store is read-only");
    assert_eq!(get_text(&router, "/readyz").await.1, "the store is read-only\n");
}

#[tokio::test]
async fn metrics_are_served_with_those_of_the_process_until_stopped() {
    let mut registry = Registry::default();
    let runs = Counter::<u64>::default();
    registry.register("runs", "Runs", runs.clone());
    runs.inc();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, Readiness::waiting("x"), registry, stop.clone()));

    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    connection.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).await.unwrap();
    for expected in [
        "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8",
        "\nruns_total 1",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_cpu_seconds_total ",
        "# EOF",
    ] {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }
    stop.cancel();
    server.await.unwrap().unwrap();
}
