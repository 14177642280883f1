//! The endpoints of runner pods; [`drover_api::runner`] says what they are.

mod artifacts;
mod checkpoint;
mod conversation;
mod heartbeat;
mod logs;
mod report;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post, put},
};

use crate::app::Gateway;

/// The routes of the runners' port.
pub(crate) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/runner/v1/conversation", get(conversation::get))
        .route("/runner/v1/heartbeat", post(heartbeat::post))
        .route("/runner/v1/logs/{sequence}", put(logs::put))
        .route("/runner/v1/artifacts/{*name}", put(artifacts::put))
        .route("/runner/v1/checkpoint", put(checkpoint::put).get(checkpoint::get))
        .route("/runner/v1/report", post(report::post))
}
