use std::{cell::Cell, fs};

use tempfile::TempDir;

use super::*;

/// Stores a file at a gateway that answers with `answer` for the first `outage`. How long that took, and what came of it.
async fn store_during(outage: Duration, answer: fn() -> Failure) -> (Duration, Result<Artifact, String>) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a"), "made").unwrap();
    let workspace = Arc::new(Root::open(dir.path()).unwrap());
    let (start, tries) = (Instant::now(), Cell::new(0));
    let put = async |upload: Upload| {
        tries.set(tries.get() + 1);
        if start.elapsed() < outage {
            return Err(answer());
        }
        Ok(Artifact { name: "a".to_owned(), size: upload.size as i64, sha256: hex(&upload.sha256) })
    };
    let stored = store(put, &workspace, "a", &mut Patience::default()).await;
    assert!(tries.get() < 60, "the gateway is not flooded: {}", tries.get());
    (start.elapsed(), stored)
}

fn answered(status: StatusCode) -> Failure {
    Failure::Answer { status, text: r#"{"detail":"the store is full"}"#.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_away_costs_no_artifact() {
    let outages: [fn() -> Failure; 5] = [
        || Failure::NoAnswer("connection refused".to_owned()),
        || answered(StatusCode::SERVICE_UNAVAILABLE),
        || answered(StatusCode::UNAUTHORIZED),
        || answered(StatusCode::FORBIDDEN),
        || answered(StatusCode::TOO_MANY_REQUESTS),
    ];
    for outage in outages {
        let (took, stored) = store_during(Duration::from_secs(60), outage).await;
        assert_eq!(stored.unwrap().size, 4, "{}", outage());
        assert!(took < Duration::from_secs(66), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_store_is_waited_for_but_not_for_ever() {
    let full = || answered(StatusCode::INSUFFICIENT_STORAGE);
    assert!(store_during(Duration::from_secs(50), full).await.1.is_ok());
    let (took, stored) = store_during(Duration::from_secs(3600), full).await;
    assert_eq!(stored.unwrap_err(), "the gateway answered 507 Insufficient Storage: the store is full");
    assert!(took < Duration::from_secs(66), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_not_tried_again() {
    for (status, sentence) in [
        (StatusCode::PAYLOAD_TOO_LARGE, "the store is full"),
        (StatusCode::BAD_REQUEST, "the gateway answered 400 Bad Request: the store is full"),
    ] {
        let put = async |_| Err(answered(status));
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("a"), "made").unwrap();
        let workspace = Arc::new(Root::open(dir.path()).unwrap());
        assert_eq!(store(put, &workspace, "a", &mut Patience::default()).await.unwrap_err(), sentence);
    }
}
