//! What `exec` asks of the broker, over the socket.

use std::{io, path::Path, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path as UrlPath, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use drover_api::{
    log::MAX_TEXT,
    report::Report,
    runner::{Output, Termination, TurnEnd},
};
use serde::Deserialize;
use tokio::{net::UnixListener, sync::oneshot};

use crate::{Broker, conversation::Asked};

/// The largest request, in bytes. `exec` sends far less at once.
const MAX_BODY: usize = 1024 * 1024;

/// Listens at `path`, in place of a broker that was there before.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(path),
    }
}

/// Serves `exec`.
pub(crate) async fn serve(listener: UnixListener, broker: Arc<Broker>) -> io::Result<()> {
    let routes = Router::new()
        .route("/v1/turns/next", get(next_turn))
        .route("/v1/turns/{id}/end", post(end_turn))
        .route("/v1/stop", get(stop))
        .route("/v1/output", post(output))
        .route("/v1/finish", post(finish))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(broker);
    axum::serve(listener, routes).await
}

type Refusal = (StatusCode, String);

async fn next_turn(State(broker): State<Arc<Broker>>) -> Result<Response, Refusal> {
    let turn = ask(&broker, Asked::Next).await?;
    Ok(turn.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |turn| Json(turn).into_response()))
}

async fn end_turn(
    State(broker): State<Arc<Broker>>,
    UrlPath(id): UrlPath<String>,
    Json(end): Json<TurnEnd>,
) -> Result<StatusCode, Refusal> {
    let taken = ask(&broker, |taken| Asked::End { id, end: Box::new(end), taken }).await?;
    if taken {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err((StatusCode::CONFLICT, "the agent was not given a message with this id".to_owned()))
}

async fn ask<T>(broker: &Broker, asked: impl FnOnce(oneshot::Sender<T>) -> Asked) -> Result<T, Refusal> {
    let (sender, answer) = oneshot::channel();
    let ending = |_| (StatusCode::SERVICE_UNAVAILABLE, "the agent has to end".to_owned());
    broker.asked.send(asked(sender)).await.map_err(|_| ending(()))?;
    answer.await.map_err(|_| ending(()))
}

async fn stop(State(broker): State<Arc<Broker>>) -> Result<Json<Termination>, Refusal> {
    let ended = broker.ended.subscribe().wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone());
    ended.map(Json).ok_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, "the broker is ending".to_owned()))
}

#[derive(Deserialize)]
struct Position {
    /// How many lines `exec` had sent before these.
    from: u64,
}

async fn output(
    State(broker): State<Arc<Broker>>,
    Query(position): Query<Position>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let lines = parse(&body).map_err(|problem| (StatusCode::BAD_REQUEST, problem))?;
    broker.started.send_replace(true);
    broker.log.take(position.from, &lines).await;
    Ok(StatusCode::NO_CONTENT)
}

fn parse(body: &[u8]) -> Result<Vec<Output>, String> {
    let lines = body.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            let output: Output = serde_json::from_slice(line).map_err(|e| format!("line {}: {e}", index + 1))?;
            if output.text.len() > MAX_TEXT {
                return Err(format!("line {}: the text has more than {MAX_TEXT} bytes", index + 1));
            }
            Ok(output)
        })
        .collect()
}

async fn finish(State(broker): State<Arc<Broker>>) -> Result<Json<Report>, Refusal> {
    broker
        .finished()
        .await
        .map(Json)
        .ok_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, "the broker is ending".to_owned()))
}
