//! The OpenAPI document and the routes say the same.

use std::collections::BTreeMap;

use axum::{body::Body, http::StatusCode};
use serde_json::Value;

use super::fake::{ARTIFACTS, Fixture, LOGS, SESSION, request};

fn document() -> Value {
    serde_json::from_str(&crate::openapi()).unwrap()
}

/// A request for every documented answer, by the document's path.
fn requests() -> Vec<(&'static str, u16, String, &'static str)> {
    const LIST: &str = "/api/v1/namespaces/{namespace}/sessions/{name}/artifacts";
    const GET: &str = "/api/v1/namespaces/{namespace}/sessions/{name}/artifacts/{artifact}";
    const LOG: &str = "/api/v1/namespaces/{namespace}/sessions/{name}/logs";
    let mut requests = Vec::new();
    for (template, path) in [(LIST, ARTIFACTS.to_owned()), (GET, format!("{ARTIFACTS}/a/b")), (LOG, LOGS.to_owned())] {
        requests.extend([
            (template, 200, path.clone(), "ada"),
            (template, 400, path.replace("hello", "_"), "ada"),
            (template, 401, path.clone(), ""),
            (template, 403, path.clone(), "eve"),
        ]);
    }
    requests
}

#[tokio::test]
async fn every_documented_route_answers_as_documented() {
    let document = document();
    let fixture = Fixture::new();
    fixture.artifact("a/b", b"x").await;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (template, status, path, user) in requests() {
        let documented = &document["paths"][template]["get"]["responses"][status.to_string()];
        let answer = fixture.get(&path, user).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        let media = answer.header("content-type");
        assert!(documented["content"].get(media).is_some(), "{template} does not document {status} as {media}");
        *seen.entry(template).or_default() += 1;
    }
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, seen.keys().collect::<Vec<_>>(), "a route is documented and not tested");
}

#[tokio::test]
async fn the_remaining_statuses_are_documented_too() {
    let document = document();
    let broken = |path: &str| {
        let (fixture, path) = (Fixture::new(), path.to_owned());
        async move {
            fixture.cluster.break_down();
            fixture.get(&path, "ada").await.status
        }
    };
    let missing = |path: &str| {
        let (fixture, path) = (Fixture::new(), path.to_owned());
        async move {
            fixture.cluster.remove(SESSION);
            fixture.get(&path, "ada").await.status
        }
    };
    for (template, path) in requests().into_iter().filter(|r| r.1 == 200).map(|r| (r.0, r.2)) {
        assert_eq!(broken(&path).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(missing(&path).await, StatusCode::NOT_FOUND);
        let responses = document["paths"][template]["get"]["responses"].as_object().unwrap();
        for status in ["400", "401", "403", "404", "500", "503"] {
            let schema = &responses[status]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{template} {status}");
        }
    }
}

#[test]
fn a_full_store_is_said_to_be_full() {
    use axum::response::IntoResponse;
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = drover_store::StoreError::Directory("/store".to_owned(), Box::new(full));
    let answer = crate::problem::Problem::from(error).into_response();
    assert_eq!(answer.status(), StatusCode::INSUFFICIENT_STORAGE);
}

#[tokio::test]
async fn the_document_is_served_and_whole() {
    let fixture = Fixture::new();
    let answer = fixture.get("/openapi.json", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let document = answer.json();
    assert_eq!(document, self::document());
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for scheme in ["bearer", "clientCertificate"] {
        assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
    }
    let text = document.to_string();
    for (_, reference) in text.match_indices("\"#/").map(|(at, _)| (at, text[at + 3..].split('"').next().unwrap())) {
        assert!(document.pointer(&format!("/{reference}")).is_some(), "{reference} is not in the document");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().unwrap();
        let names: Vec<&str> =
            parameters.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), path.matches('{').count(), "{path}");
        assert!(names.iter().all(|name| path.contains(&format!("{{{name}}}"))), "{path}");
        assert!(parameters.iter().all(|p| !p["description"].as_str().unwrap_or_default().is_empty()), "{path}");
    }
}

#[tokio::test]
async fn each_port_knows_only_its_own_paths() {
    let fixture = Fixture::new();
    for (router, method, path) in [
        (&fixture.public, "GET", "/runner/v1/conversation"),
        (&fixture.runners, "GET", "/runner/v1/messages"),
        (&fixture.public, "POST", "/runner/v1/report"),
        (&fixture.public, "GET", "/metrics"),
        (&fixture.public, "GET", "/"),
        (&fixture.runners, "GET", LOGS),
        (&fixture.runners, "GET", "/openapi.json"),
        (&fixture.runners, "GET", "/healthz"),
    ] {
        let answer = fixture.ask(router, request(method, path, "ada").body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status, answer.detail()),
            (StatusCode::NOT_FOUND, "there is nothing under this path".into()),
            "{path}"
        );
    }
    let answer = fixture.ask(&fixture.public, request("DELETE", ARTIFACTS, "ada").body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.detail()),
        (StatusCode::METHOD_NOT_ALLOWED, "this path does not know the method".into())
    );
    assert_eq!(answer.header("allow"), "GET,HEAD");
}
