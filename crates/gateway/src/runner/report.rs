//! A broker's report, which travels to the operator as an annotation of the pod.

use std::sync::Arc;

use axum::{body::Body, extract::State, http::StatusCode};
use drover_api::{
    names::annotation,
    report::{
        MAX_ARTIFACTS, MAX_BYTES, MAX_CONSUMED, MAX_PROBLEM, MAX_PROBLEMS, MAX_QUESTION, MAX_RESULT, MAX_TURNS, Report,
        Turn,
    },
    session::{MAX_MESSAGE_ID, is_consumed_entry, is_message_id},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::{app::Gateway, auth::pod::RunnerPod, body, problem::Problem};

/// How often a report is written anew when the pod changed meanwhile.
const TRIES: usize = 5;

/// Writes a report over its predecessor.
pub(super) async fn post(
    State(gateway): State<Arc<Gateway>>,
    caller: RunnerPod,
    body: Body,
) -> Result<StatusCode, Problem> {
    let bytes = body::collect(body, MAX_BYTES).await?;
    let report: Report = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::malformed(format!("the body is not a report: {error}")))?;
    check(&report, caller.attempt).map_err(Problem::malformed)?;
    check_artifacts(&gateway, &caller, &report).await?;
    write(&gateway, &caller, &report).await?;
    if report.last {
        // After the report was taken, and again if it is repeated because this failed.
        gateway.store.end_log(&caller.run, caller.attempt).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The bounds that the type states. What is beyond them could not be put into the Session's status.
fn check(report: &Report, attempt: u32) -> Result<(), String> {
    let Report { sequence, last: _, turns, consumed, waiting, not_kept, artifacts, problems } = report;
    if *sequence == 0 {
        return Err("reports are counted from 1".to_owned());
    }
    if artifacts.len() > MAX_ARTIFACTS {
        return Err(format!("a report names at most {MAX_ARTIFACTS} artifacts"));
    }
    if problems.len() > MAX_PROBLEMS || problems.iter().any(|problem| problem.len() > MAX_PROBLEM) {
        return Err(format!("a report names at most {MAX_PROBLEMS} problems of at most {MAX_PROBLEM} bytes"));
    }
    if not_kept.as_ref().is_some_and(|text| text.len() > MAX_PROBLEM) {
        return Err(format!("a report says in at most {MAX_PROBLEM} bytes what was not kept"));
    }
    let question = waiting.as_ref().and_then(|waiting| waiting.question.as_deref());
    if question.is_some_and(|text| written_length(text) > MAX_QUESTION) {
        return Err(format!("a question has at most {MAX_QUESTION} bytes, as it is written in JSON"));
    }
    if turns.len() > MAX_TURNS {
        return Err(format!("a report names at most {MAX_TURNS} turns"));
    }
    if consumed.len() > MAX_CONSUMED || !consumed.iter().all(|entry| is_consumed_entry(entry)) {
        return Err(format!("a report names at most {MAX_CONSUMED} messages that were dealt with, by their hashes"));
    }
    turns.iter().try_for_each(|turn| check_turn(turn, attempt))
}

fn check_turn(turn: &Turn, last_attempt: u32) -> Result<(), String> {
    let Turn { message, attempt, started_at: _, finished_at: _, result, usage } = turn;
    if !is_message_id(message) {
        return Err(format!(
            "a turn names its message by an id of at most {MAX_MESSAGE_ID} bytes, lower-case letters, digits and -"
        ));
    }
    if !(1..=last_attempt).contains(attempt) {
        return Err(format!("a turn was in an attempt from 1 to {last_attempt}, the one of this pod"));
    }
    if written_length(result) > MAX_RESULT {
        return Err(format!("the result of a turn has at most {MAX_RESULT} bytes, as it is written in JSON"));
    }
    if !usage.unwrap_or_default().is_valid() {
        return Err("a number of tokens is not negative".to_owned());
    }
    Ok(())
}

/// How many bytes a text has in JSON, without the quotation marks.
fn written_length(text: &str) -> usize {
    Value::from(text).to_string().len() - 2
}

/// What a report names must be there, so that the Session's status never promises what nobody can fetch.
async fn check_artifacts(gateway: &Gateway, caller: &RunnerPod, report: &Report) -> Result<(), Problem> {
    if report.artifacts.is_empty() {
        return Ok(());
    }
    let stored = gateway.store.list_artifacts(&caller.run).await?;
    match report.artifacts.iter().find(|artifact| !stored.contains(artifact)) {
        None => Ok(()),
        Some(missing) => Err(Problem::malformed(format!("the artifact {:?} is not stored as reported", missing.name))),
    }
}

async fn write(gateway: &Gateway, caller: &RunnerPod, report: &Report) -> Result<(), Problem> {
    let pods = Api::<Pod>::namespaced(gateway.client.clone(), &caller.namespace);
    let name = caller.pod.name_any();
    let mut pod = caller.pod.clone();
    for _ in 0..TRIES {
        let Some(patch) = patch(&pod, report)? else { return Ok(()) };
        match gateway.writer.json_patch_status::<Pod>(&caller.namespace, &name, patch).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_conflict() || error.is_invalid() => {
                tracing::debug!(pod = name, "the pod changed while a report was written");
            }
            Err(error) => return Err(Problem::kubernetes(&error)),
        }
        let now = pods.get_opt(&name).await.map_err(|error| Problem::kubernetes(&error))?;
        pod = now
            .filter(|now| now.metadata.uid == pod.metadata.uid)
            .ok_or_else(|| Problem::forbidden("the pod does not exist any more"))?;
    }
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the pod changes too often: try again"))
}

/// How the report gets onto the pod; `None` when it is there already.
///
/// The patch holds only for the pod that was looked at, and only over the report that it had.
fn patch(pod: &Pod, report: &Report) -> Result<Option<Value>, Problem> {
    let current = pod.annotations().get(annotation::REPORT);
    let known: Option<Report> = current.and_then(|text| serde_json::from_str(text).ok());
    if known.as_ref() == Some(report) {
        return Ok(None);
    }
    let next = known.map_or(0, |known| known.sequence) + 1;
    if report.sequence != next {
        return Err(Problem::out_of_sequence(format!("the next report of this pod has the sequence {next}"), next));
    }
    let path = format!("/metadata/annotations/{}", annotation::REPORT.replace('~', "~0").replace('/', "~1"));
    let text = serde_json::to_string(report).map_err(|error| Problem::malformed(error.to_string()))?;
    let mut operations = vec![json!({"op": "test", "path": "/metadata/uid", "value": pod.metadata.uid})];
    match current {
        Some(current) => operations.push(json!({"op": "test", "path": path, "value": current})),
        // That something is absent cannot be tested, but that nothing at all has changed.
        None => operations
            .push(json!({"op": "test", "path": "/metadata/resourceVersion", "value": pod.metadata.resource_version})),
    }
    if pod.annotations().is_empty() {
        operations.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    operations.push(json!({"op": "add", "path": path, "value": text}));
    Ok(Some(operations.into()))
}
