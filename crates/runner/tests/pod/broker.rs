//! A broker that a test plays: it hands out turns, takes what `exec` says, and can be told to misbehave.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use drover_api::{
    log::Kind,
    report::Report,
    runner::{Message, NextTurn, Output, Termination, TurnEnd},
};
use tokio::{net::UnixListener, runtime::Runtime, sync::watch, time::timeout};

use crate::harness::Pod;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the broker has, and how it behaves.
#[derive(Default)]
pub struct Held {
    /// What is still to be dealt with, the next first.
    pub turns: VecDeque<NextTurn>,
    /// Another message is waited for when there is none.
    pub interactive: bool,
    /// The turns that ended.
    pub ended: Vec<(String, TurnEnd)>,
    pub output: Vec<Output>,
    /// How often the end was asked for.
    pub finished: usize,
    /// How often `exec` asked what ends the agent.
    pub asked_for_stop: usize,
    /// What ends the agent.
    pub stop: Option<Termination>,
    /// Turns are refused with this.
    pub refuse: Option<StatusCode>,
    /// Output is not answered.
    pub stuck: bool,
    /// The end is not answered.
    pub hold_finish: bool,
    /// Answers that are still to be replaced by 503 after the request was acted on.
    pub lose_answers: usize,
}

impl Held {
    /// The agent's lines of a kind, and of either stream, put together from their pieces.
    pub fn lines(&self, kind: Kind) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for output in self.output.iter().filter(|output| output.kind == kind) {
            line.push_str(&output.text);
            if !output.partial {
                lines.push(std::mem::take(&mut line));
            }
        }
        lines
    }

    /// The only turn that ended.
    pub fn only_end(&self) -> &TurnEnd {
        assert_eq!(self.ended.len(), 1);
        &self.ended[0].1
    }

    fn answer<T: IntoResponse>(&mut self, answer: T) -> Response {
        if self.lose_answers > 0 {
            self.lose_answers -= 1;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        answer.into_response()
    }
}

/// A message that was not interrupted, of an agent that told no resume id.
pub fn turn(id: &str, text: &str) -> NextTurn {
    NextTurn { message: Message { id: id.to_owned(), text: text.to_owned() }, interrupted: false, resume_id: None }
}

type Shared = Arc<watch::Sender<Held>>;

/// Serves a pod's socket, on threads of its own, so that it can go as a process goes.
pub struct Broker {
    pub held: Shared,
    runtime: Option<Runtime>,
}

impl Broker {
    pub fn up(pod: &Pod, turns: impl IntoIterator<Item = NextTurn>) -> Self {
        let held = Held { turns: turns.into_iter().collect(), ..Held::default() };
        let mut broker = Self { held: Arc::new(watch::Sender::new(held)), runtime: None };
        broker.start(pod);
        broker
    }

    pub fn start(&mut self, pod: &Pod) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let routes = Router::new()
            .route("/v1/turns/next", get(next))
            .route("/v1/turns/{id}/end", post(end))
            .route("/v1/output", post(output))
            .route("/v1/stop", get(stop))
            .route("/v1/finish", post(finish))
            .with_state(Arc::clone(&self.held));
        let path = pod.path("run/broker.sock");
        let _ = std::fs::remove_file(&path);
        let guard = runtime.enter();
        let listener = UnixListener::bind(path).unwrap();
        drop(guard);
        runtime.spawn(async move { axum::serve(listener, routes).await });
        self.runtime = Some(runtime);
    }

    /// Goes, and with it every connection.
    pub fn go(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub fn change(&self, change: impl FnOnce(&mut Held)) {
        self.held.send_modify(change);
    }

    /// Waits until the broker has what is asked for.
    pub async fn until(&self, what: impl FnMut(&Held) -> bool) -> watch::Ref<'_, Held> {
        let mut held = self.held.subscribe();
        timeout(PATIENCE, held.wait_for(what)).await.expect("did not come about").map(drop).unwrap();
        self.held.borrow()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.go();
    }
}

/// Acts, and answers or loses the answer.
fn act<T: IntoResponse>(held: &Shared, act: impl FnOnce(&mut Held) -> T) -> Response {
    let mut response = StatusCode::IM_A_TEAPOT.into_response();
    held.send_modify(|held| {
        let answer = act(held);
        response = held.answer(answer);
    });
    response
}

async fn next(State(held): State<Shared>) -> Response {
    let there = |held: &Held| !held.turns.is_empty() || !held.interactive || held.refuse.is_some();
    let _ = held.subscribe().wait_for(there).await;
    act(&held, |held| match (held.refuse, held.turns.front()) {
        (Some(status), _) => (status, "no such thing").into_response(),
        (None, Some(turn)) => Json(turn.clone()).into_response(),
        (None, None) => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn end(State(held): State<Shared>, Path(id): Path<String>, Json(end): Json<TurnEnd>) -> Response {
    act(&held, |held| {
        if held.ended.last().is_some_and(|(ended, _)| *ended == id) {
            return StatusCode::NO_CONTENT;
        }
        let known = held.turns.front().is_some_and(|turn| turn.message.id == id);
        if !known {
            return StatusCode::CONFLICT;
        }
        held.turns.pop_front();
        if let (Some(next), Some(resume_id)) = (held.turns.front_mut(), &end.resume_id) {
            next.resume_id = Some(resume_id.clone());
        }
        held.ended.push((id, end));
        StatusCode::NO_CONTENT
    })
}

async fn output(State(held): State<Shared>, Query(query): Query<BTreeMap<String, usize>>, body: Bytes) -> Response {
    let from = query["from"];
    let _ = held.subscribe().wait_for(|held| !held.stuck).await;
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines: Vec<Output> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    act(&held, |held| {
        assert!(from <= held.output.len(), "a gap");
        let known = held.output.len() - from;
        held.output.extend(lines.into_iter().skip(known));
        StatusCode::NO_CONTENT
    })
}

async fn stop(State(held): State<Shared>) -> Response {
    held.send_modify(|held| held.asked_for_stop += 1);
    let _ = held.subscribe().wait_for(|held| held.stop.is_some()).await;
    act(&held, |held| Json(held.stop.clone()))
}

async fn finish(State(held): State<Shared>) -> Response {
    held.send_modify(|held| held.finished += 1);
    let _ = held.subscribe().wait_for(|held| !held.hold_finish).await;
    act(&held, |_| Json(Report::default()))
}
