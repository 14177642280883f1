//! The log of a Session: in pages, or as a stream of events that goes on while the Session runs.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use drover_api::log::{self, EventId};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Target, responses::Refusals};
use crate::{
    app::Gateway,
    auth::caller::Caller,
    follow::{Follower, Step},
    problem::Problem,
};

/// The right that is needed to see a log.
const RIGHT: &str = "logs";
const LAST_EVENT_ID: &str = "last-event-id";
const EVENT_STREAM: &str = "text/event-stream";
/// About how many bytes of events a page has, if nothing else was asked for.
const DEFAULT_LIMIT: usize = 1024 * 1024;
/// About how many bytes of events a page has at most.
const MAX_LIMIT: usize = 4 * 1024 * 1024;
/// How often a silent stream gives a sign of life, which proxies take for traffic.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which part of a log, and how.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// Only events after this one: the `id` of an event, or the `next` of a page.
    #[param(example = "1-42")]
    after: Option<String>,
    /// About how many bytes of events a page has, at most 4 MiB. A page can be longer by 1 MiB.
    #[param(minimum = 1, maximum = 4194304, example = 65536)]
    limit: Option<usize>,
    /// `true` for a stream whatever `Accept` says, `false` for a page.
    #[param(example = true)]
    follow: Option<bool>,
}

/// A page of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogPage {
    /// In order.
    #[schema(value_type = Vec<LogEvent>)]
    events: Vec<log::Event>,
    /// What to ask for next, as `after`.
    #[schema(value_type = String, example = "1-42")]
    next: EventId,
    /// The Session has ended, and nothing follows after this page.
    complete: bool,
}

// What is documented of `log::Event`, which itself knows nothing of HTTP.
/// One event of a log.
#[derive(ToSchema)]
#[schema(as = LogEvent, example = json!({
    "id": "1-42",
    "time": "2026-01-01T12:00:00.000Z",
    "type": "agent",
    "stream": "stdout",
    "text": "hello"
}))]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct LogEvent {
    /// Where the event stands: the attempt and the place in it, both counted from 1.
    #[schema(pattern = "^[0-9]+-[0-9]+$")]
    id: String,
    /// When it happened, RFC 3339.
    #[schema(format = DateTime)]
    time: String,
    /// What it is about.
    r#type: EventType,
    /// For output: where it came from.
    #[schema(nullable = false)]
    stream: Option<EventStream>,
    /// The text, without the line's end.
    #[schema(max_length = 16384)]
    text: String,
    /// The line goes on in the next event.
    #[schema(default = false, required = false)]
    partial: bool,
}

/// What an event is about: output of the agent, of a tool that it called or of a hook, something that Drover says, or
/// something that went wrong.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum EventType {
    Agent,
    Tool,
    Hook,
    System,
    Error,
}

/// Where output came from.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum EventStream {
    Stdout,
    Stderr,
}

/// How a stream ended.
#[derive(Debug, Serialize)]
struct End {
    /// Everything was sent. If not, the Session was deleted.
    complete: bool,
}

/// Reads the log of a Session.
///
/// With `Accept: text/event-stream` or `follow=true` the answer is a stream of server-sent events that goes on while
/// the Session is not finished, over all its attempts; nothing comes while it waits or is suspended. Each has the `id` of
/// the log's event, its type as `event`, and the event as JSON as `data`. After the last one comes `event: end` with
/// `{"complete": true}`, or `{"complete": false}` when the Session was deleted. When the log cannot be read any further the stream ends with `event: problem` and the problem as JSON. A stream that stops
/// without either (the gateway is rolled out, or half an hour is over) goes on where it stopped with the header
/// `Last-Event-ID`.
///
/// Otherwise the answer is a page; ask again with `after` set to its `next` until it is `complete`.
///
/// Needs the right to `get` `sessions/logs`.
#[utoipa::path(
    get,
    path = "/api/v1/namespaces/{namespace}/sessions/{name}/logs",
    operation_id = "getLogs",
    tag = "logs",
    params(
        Target,
        LogQuery,
        ("Last-Event-ID" = Option<String>, Header, nullable = false, description = "For a stream: only events after this one; goes before `after`", example = "1-42"),
    ),
    responses(
        (
            status = 200,
            description = "A page, or a stream",
            content(
                (LogPage = "application/json"),
                (String = "text/event-stream", example = "id: 1-1\nevent: agent\ndata: {\"id\":\"1-1\",\"time\":\"2026-01-01T12:00:00.000Z\",\"type\":\"agent\",\"stream\":\"stdout\",\"text\":\"hello\"}\n\nevent: end\ndata: {\"complete\":true}\n\n"),
            ),
        ),
        Refusals,
    ),
)]
pub(super) async fn get(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    target: Target,
    query: Result<Query<LogQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::malformed(format!("limit is a number of bytes from 1 to {MAX_LIMIT}")));
    }
    let streaming = query.follow.unwrap_or_else(|| accepts_stream(&headers));
    let last = headers.get(LAST_EVENT_ID).filter(|_| streaming).map(|value| value.to_str().unwrap_or("?"));
    let after = last.or(query.after.as_deref()).map(str::parse).transpose();
    let after = after.map_err(|error: log::InvalidEventId| Problem::malformed(error.to_string()))?;
    let (session, run) = target.open(&gateway, &caller, RIGHT).await?;
    let follower = Follower::new(gateway, target, session, run, after.unwrap_or(EventId::START));
    if streaming { stream_of(follower).await } else { Ok(page(follower, limit).await?.into_response()) }
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|media| media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(EVENT_STREAM)))
}

async fn page(mut follower: Follower, limit: usize) -> Result<Json<LogPage>, Problem> {
    let (page, complete) = follower.page(limit).await?;
    Ok(Json(LogPage { events: page.events, next: page.next, complete }))
}

/// The first step is made before the answer begins, so that its problem is the answer.
async fn stream_of(mut follower: Follower) -> Result<Response, Problem> {
    let first = follower.first_step().await?;
    let steps = stream::unfold(Some((follower, first)), |state| async move {
        let (mut follower, first) = state?;
        let step = match first {
            Some(step) => step,
            None => follower.step().await,
        };
        match step {
            Step::Events(events) => Some((events.iter().map(sent).collect::<Vec<_>>(), Some((follower, None)))),
            Step::End { complete } => Some((vec![end(complete)], None)),
            Step::Failed(problem) => Some((vec![failed(&problem)], None)),
            Step::Stop => None,
        }
    });
    let events = steps.flat_map(|events| stream::iter(events.into_iter().map(Ok::<_, Infallible>)));
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn sent(event: &log::Event) -> sse::Event {
    let kind = match event.kind {
        log::Kind::Agent => "agent",
        log::Kind::Tool => "tool",
        log::Kind::Hook => "hook",
        log::Kind::System => "system",
        log::Kind::Error => "error",
    };
    sse::Event::default().id(event.id.to_string()).event(kind).data(json(event))
}

fn end(complete: bool) -> sse::Event {
    sse::Event::default().event("end").data(json(&End { complete }))
}

fn failed(problem: &Problem) -> sse::Event {
    sse::Event::default().event("problem").data(json(problem))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("none of what is sent has keys that are not texts")
}
