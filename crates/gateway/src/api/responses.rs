//! The answers that every route has beside its own.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder},
};

use crate::problem::PROBLEM_JSON;

/// What any request can be refused with, a problem each.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [
            ("400", "The request cannot be understood; the detail says what is wrong with it"),
            ("401", "It is not known who calls"),
            ("403", "The caller lacks a right, which the detail names"),
            ("404", "There is no such Session or artifact"),
            ("500", "The artifact store failed"),
            ("503", "The Kubernetes API cannot be asked at the moment"),
        ]
        .into_iter()
        .map(|(status, description)| (status.to_owned(), problem(description).into()))
        .collect()
    }
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}
