//! Who may read what a Session hands back.

use anyhow::Result;
use drover_suite::installed::{Port, Role, Tenant};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn logs_and_artifacts_are_for_those_who_may_view_the_namespace() -> Result<()> {
    let tenant = Tenant::new("rights").await?;
    let other = Tenant::new("other").await?;
    tenant.run("mine", json!({ "prompt": "echo private | tee file", "artifacts": ["file"] })).await?;
    let viewer = tenant.user(Role::View).await?;
    let stranger = other.user(Role::Admin).await?;
    let gateway = tenant.gateway(Port::Api).await?;
    let base = format!("/api/v1/namespaces/{}/sessions/mine", tenant.namespace);

    for (path, right) in [("logs", "logs"), ("artifacts", "artifacts"), ("artifacts/file", "artifacts")] {
        let path = format!("{base}/{path}");
        let allowed = gateway.get(&path, Some(&viewer.token)).await?;
        assert_eq!(allowed.status(), StatusCode::OK, "{path}");
        assert!(allowed.text().await?.contains(if right == "logs" || path.ends_with("/file") {
            "private"
        } else {
            "file"
        }));

        let refused = gateway.get(&path, Some(&stranger.token)).await?;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_slice(&refused.bytes().await?)?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with(&format!("{} may not get sessions/{right}", stranger.name)), "{detail}");
        assert!(detail.contains(&tenant.namespace) && detail.contains("ask for a role"), "{detail}");

        for token in [None, Some("eyJub3QiOiJhIHRva2VuIn0.e30.x")] {
            let unknown = gateway.get(&path, token).await?;
            assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED, "{path} with {token:?}");
            assert!(!unknown.text().await?.contains("private"));
        }
    }
    let told = stranger.drover(&["logs", "mine", "--namespace", &tenant.namespace]).await?;
    assert_eq!(told.code, 1);
    assert!(told.stderr.contains("may not get sessions/logs") && told.stdout.is_empty(), "{told:?}");
    // Whether a Session exists is told to nobody who may not see it.
    let absent = base.replace("mine", "absent");
    let refused = gateway.get(&format!("{absent}/logs"), Some(&stranger.token)).await?;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let allowed = gateway.get(&format!("{absent}/logs"), Some(&viewer.token)).await?;
    assert_eq!(allowed.status(), StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn the_runners_port_is_for_runner_pods() -> Result<()> {
    let tenant = Tenant::new("runners").await?;
    let admin = tenant.user(Role::Admin).await?;
    let gateway = tenant.gateway(Port::Runner).await?;
    for (method, path) in [
        (Method::GET, "/runner/v1/conversation"),
        (Method::PUT, "/runner/v1/logs/1"),
        (Method::PUT, "/runner/v1/artifacts/a"),
        (Method::POST, "/runner/v1/report"),
    ] {
        for token in [None, Some("nonsense"), Some(admin.token.as_str())] {
            let answer = gateway.request(method.clone(), path, token).body("{}").send().await?;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
    let people = gateway.get("/api/v1/namespaces/default/sessions/a/logs", Some(&admin.token)).await?;
    assert_eq!(people.status(), StatusCode::NOT_FOUND, "the ports serve different things");
    let runner = tenant.gateway(Port::Api).await?.get("/runner/v1/conversation", Some(&admin.token)).await?;
    assert_eq!(runner.status(), StatusCode::NOT_FOUND);
    Ok(())
}
