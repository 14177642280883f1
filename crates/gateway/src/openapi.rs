//! The document that describes the API, made from the routes themselves.

use std::sync::{Arc, LazyLock};

use axum::{Router, http::header, routing::get};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        SecurityRequirement,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::{api, app::Gateway, problem::Problem};

/// What is not said at the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Drover",
        description = "Logs and artifacts of Sessions. Callers are who the Kubernetes API server says they are, and may read what their roles let them `get`: `sessions/logs` and `sessions/artifacts` in the API group `drover.dev`. Errors are `application/problem+json` (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(name = "Drover", url = "https://drover.dev"),
    ),
    tags(
        (name = "artifacts", description = "Files that a Session's run handed back"),
        (name = "logs", description = "What a Session's run said"),
    ),
    components(schemas(Problem, api::LogEvent)),
    modifiers(&Security),
)]
struct Frame;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("A token that the Kubernetes API server takes".to_owned());
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme(
            "clientCertificate",
            SecurityScheme::MutualTls {
                description: Some("A client certificate of the cluster's certificate authority".to_owned()),
                deprecated: None,
                extensions: None,
            },
        );
        let none: [&str; 0] = [];
        openapi.security =
            Some(vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("clientCertificate", none)]);
    }
}

/// The document without its routes.
pub(crate) fn frame() -> utoipa::openapi::OpenApi {
    Frame::openapi()
}

/// The OpenAPI document of the API, JSON with indentation.
#[must_use]
pub fn openapi() -> String {
    let (_, mut document) = api::router().split_for_parts();
    // The router marks a parameter that takes the rest of the path; OpenAPI knows no such mark.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    document.to_pretty_json().expect("the document has no keys that are not texts") + "\n"
}

/// The route that serves the document. It holds nothing that is worth protecting.
pub(crate) fn router() -> Router<Arc<Gateway>> {
    static DOCUMENT: LazyLock<String> = LazyLock::new(openapi);
    Router::new()
        .route("/openapi.json", get(|| async { ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()) }))
}
