use axum::{body::Body, http::StatusCode};

use super::fake::{ARTIFACTS, Fixture, SESSION, request};

#[tokio::test]
async fn artifacts_are_listed_and_fetched() {
    let fixture = Fixture::new();
    assert_eq!(fixture.get(ARTIFACTS, "ada").await.json(), serde_json::json!({"artifacts": []}));
    fixture.artifact("out/a b.txt", b"hello").await;
    let list = fixture.get(ARTIFACTS, "ada").await.json();
    let sha256 = list["artifacts"][0]["sha256"].as_str().unwrap();
    assert_eq!(sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!((&list["artifacts"][0]["name"], &list["artifacts"][0]["size"]), (&"out/a b.txt".into(), &5.into()));

    let path = format!("{ARTIFACTS}/out/a%20b.txt");
    let answer = fixture.get(&path, "ada").await;
    assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, b"hello".as_slice()));
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", "5"),
        ("content-disposition", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"),
        ("etag", &format!("\"{sha256}\"")),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    let head = fixture.ask(&fixture.public, request("HEAD", &path, "ada").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (StatusCode::OK, "5", 0));
    let known =
        request("GET", &path, "ada").header("if-none-match", format!("\"{sha256}\"")).body(Body::empty()).unwrap();
    let known = fixture.ask(&fixture.public, known).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_missing() {
    let fixture = Fixture::new();
    let answer = fixture.get(&format!("{ARTIFACTS}/none"), "ada").await;
    assert_eq!(
        (answer.status, answer.detail()),
        (StatusCode::NOT_FOUND, "the Session hello has no artifact none".into())
    );
    fixture.cluster.remove(SESSION);
    let answer = fixture.get(ARTIFACTS, "ada").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.detail(), "there is no Session hello in the namespace team");
}

#[tokio::test]
async fn a_session_of_the_same_name_has_artifacts_of_its_own() {
    let fixture = Fixture::new();
    fixture.artifact("a", b"old").await;
    fixture.cluster.set(SESSION, "/metadata/uid", "uid-2".into());
    assert_eq!(fixture.get(&format!("{ARTIFACTS}/a"), "ada").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_may_not_learns_which_right_is_missing_and_nothing_of_the_session() {
    let fixture = Fixture::new();
    let with_session = fixture.get(ARTIFACTS, "eve").await;
    assert_eq!(with_session.status, StatusCode::FORBIDDEN);
    assert!(with_session.detail().starts_with(
        "eve may not get sessions/artifacts in the API group drover.dev for the Session hello in the namespace team"
    ));
    fixture.cluster.remove(SESSION);
    let without = fixture.get(ARTIFACTS, "eve").await;
    assert_eq!((without.status, without.body), (with_session.status, with_session.body));
}

#[tokio::test]
async fn who_is_not_known_is_refused_without_a_word_of_the_token() {
    let fixture = Fixture::new();
    for token in ["", "stolen", "pod"] {
        let answer = fixture.get(ARTIFACTS, token).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"));
        assert!(!answer.detail().contains("stolen"));
    }
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let fixture = Fixture::new();
    for (path, detail) in [
        (format!("{ARTIFACTS}/a/%2e%2e/b"), "an artifact's name has no empty part"),
        (format!("{ARTIFACTS}/a%00"), "an artifact's name does not hold"),
        (format!("{ARTIFACTS}/%ff"), "Invalid URL: Invalid UTF-8"),
        (format!("{ARTIFACTS}/{}", "x".repeat(201)), "an artifact's name has at most"),
        (ARTIFACTS.replace("team", "Team"), "the path does not name a namespace"),
        (ARTIFACTS.replace("hello", "a_b"), "the path does not name a Session"),
        (ARTIFACTS.replace("hello", "%2e%2e"), "the path does not name a Session"),
    ] {
        let answer = fixture.get(&path, "ada").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.detail().starts_with(detail), "{path}: {}", answer.detail());
    }
}

#[tokio::test]
async fn a_kubernetes_api_that_does_not_answer_is_a_reason_to_try_again() {
    let fixture = Fixture::new();
    fixture.cluster.break_down();
    let answer = fixture.get(ARTIFACTS, "ada").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert_eq!(answer.detail(), "the Kubernetes API cannot be asked at the moment: try again");
}
