//! What happens when two things happen at once, or come in an order that nobody would choose.

use drover_api::session::{Cancel, Suspend};
use serde_json::json;

use super::{
    life::{asking, at_work, deleted, disrupted, place, running_pod, step_names, turn, waiting_report},
    *,
};
use crate::settings::PRESUMED_DEAD;

fn talking() -> Session {
    asking(json!({ "interactive": true, "idle": { "suspendAfter": "1m", "deleteAfter": "1h" } }))
}

fn said(session: &mut Session, id: &str) {
    session.spec.messages.push(serde_json::from_value(json!({ "id": id, "text": "" })).unwrap());
}

/// The agent that waited was stopped, and its broker said its last word: of an end, which nothing waits after.
fn stopped_while_waiting() -> Pod {
    let last = Report { sequence: 2, turns: vec![turn("prompt")], ..last_report() };
    reported(deleted(on_node("Failed", terminated(143, "Error", ""), terminated(0, "", "")), 64), &last)
}

fn at_attempt(mut pod: Pod, attempt: u32) -> Pod {
    pod.metadata.labels.as_mut().unwrap().insert("drover.dev/attempt".to_owned(), attempt.to_string());
    pod.metadata.name = Some(build::pod_name(&session(), attempt));
    pod.metadata.uid = Some(format!("pod-uid-{attempt}"));
    pod
}

fn suspended(session: &Session) -> Session {
    let mut session = at_work(session, &running_pod());
    session.spec.suspend = Some(Suspend::default());
    session.status = Some(plan_at(&session, &view(&running_pod()), later(20)).status);
    let dead = deleted(on_node("Failed", terminated(143, "Error", ""), terminated(0, "", "")), 20);
    session.status = Some(plan_at(&session, &view(&dead), later(26)).status);
    assert_eq!(session.status.as_ref().unwrap().phase, Phase::Suspended);
    session
}

#[test]
fn an_agent_whose_session_is_still_called_suspended_can_be_stopped() {
    // Resumed, its pod made, and suspended or cancelled again before its status could be written.
    let second = view(&at_attempt(running_pod(), 2));
    for cancel in [false, true] {
        let mut session = suspended(&session());
        session.spec.cancel = cancel.then(Cancel::default);
        let told = plan_at(&session, &second, later(40));
        session.status = Some(told.status);
        assert_eq!(step_names(&plan_at(&session, &second, later(40))), ["delete"], "{cancel}");
    }
}

#[test]
fn an_idle_conversation_ends_in_time_although_the_last_report_tells_of_no_wait() {
    let mut session = at_work(&talking(), &reported(running_pod(), &waiting_report(None)));
    session.status = Some(plan_at(&session, &view(&running_pod()), later(64)).status);
    assert_eq!(session.status.as_ref().unwrap().reason, Some(Reason::Idle));
    let status = plan_at(&session, &view(&stopped_while_waiting()), later(70)).status;
    assert_eq!((place(&status), status.interrupted), ((Phase::Suspended, Some(Reason::Idle)), false));
    session.status = Some(status);
    assert_eq!(plan_at(&session, &[], later(100)).wake, Some(later(3604)));
}

#[test]
fn a_message_that_came_while_an_idle_conversation_was_ended_is_dealt_with() {
    let mut session = at_work(&talking(), &reported(running_pod(), &waiting_report(None)));
    session.status = Some(plan_at(&session, &view(&running_pod()), later(3604)).status);
    assert_eq!(session.status.as_ref().unwrap().reason, Some(Reason::IdleExpired));
    said(&mut session, "late");
    let status = plan_at(&session, &view(&stopped_while_waiting()), later(3610)).status;
    assert_eq!(place(&status), (Phase::Pending, Some(Reason::MessagesPending)));
}

#[test]
fn an_idle_conversation_that_is_not_to_wait_any_more_comes_to_its_end() {
    let mut session = at_work(&talking(), &reported(running_pod(), &waiting_report(None)));
    session.status = Some(plan_at(&session, &view(&running_pod()), later(64)).status);
    session.status = Some(plan_at(&session, &view(&stopped_while_waiting()), later(70)).status);
    session.spec.interactive = false;
    assert_eq!(step_names(&plan_at(&session, &[], later(100))), ["create"], "its agent finds nothing to do and ends");
}

#[test]
fn an_agent_that_has_its_answer_is_not_said_to_wait_for_it() {
    let asked = reported(running_pod(), &waiting_report(Some("Which branch?")));
    for mut session in [suspended(&at_work(&talking(), &asked)), {
        let session = at_work(&talking(), &asked);
        let status = plan_at(&session, &view(&disrupted("EvictionByEvictionAPI")), later(20)).status;
        Session { status: Some(status), ..session }
    }] {
        session.spec.suspend = None;
        said(&mut session, "main");
        let second = view(&at_attempt(running_pod(), 2));
        let status = plan_at(&session, &second, later(90)).status;
        assert_eq!(place(&status), (Phase::Running, Some(Reason::AgentRunning)));
        assert_eq!((status.question, status.waiting_since), (None, None));
    }
}

#[test]
fn a_status_speaks_of_the_generation_that_was_planned_from() {
    let mut retried = asking(json!({ "retry": { "limit": 1 } }));
    let failed = on_node("Failed", terminated(3, "Error", ""), terminated(0, "", ""));
    retried.status = Some(plan_at(&retried, &view(&failed), later(10)).status);
    let mut stopping = at_work(&session(), &running_pod());
    stopping.spec.suspend = Some(Suspend::default());
    stopping.status = Some(plan_at(&stopping, &view(&running_pod()), later(20)).status);
    let silent = view(&on_node("Running", terminated(0, "", ""), running()));
    for (mut session, pods) in [
        (retried, vec![]),
        (stopping, view(&deleted(running_pod(), 20))),
        (at_work(&session(), &running_pod()), silent),
    ] {
        session.metadata.generation = Some(2);
        let status = plan_at(&session, &pods, later(21)).status;
        assert_eq!(status.observed_generation, Some(2), "{:?}", place(&status));
        let seen = status.conditions.iter().find(|c| c.type_ == condition::ACCEPTED).unwrap();
        assert_eq!(seen.observed_generation, Some(2));
    }
}

#[test]
fn an_agent_whose_pod_vanished_while_it_was_suspended_is_not_followed_by_another_at_once() {
    let mut session = at_work(&session(), &running_pod());
    session.spec.suspend = Some(Suspend::default());
    session.status = Some(plan_at(&session, &view(&running_pod()), later(20)).status);
    session.status = Some(plan_at(&session, &[], later(30)).status);
    assert_eq!(session.status.as_ref().unwrap().phase, Phase::Suspended);
    let still = plan_at(&session, &[], later(31));
    assert_eq!(Some(still.status), session.status, "nothing is written while it waits");
    session.spec.suspend = None;
    let safe = later(30) + PRESUMED_DEAD;
    let early = plan_at(&session, &[], later(40));
    assert_eq!((step_names(&early), early.wake), (vec![], Some(safe)));
    assert_eq!(step_names(&plan_at(&session, &[], safe)), ["create"]);
}

#[test]
fn an_interruption_is_told_to_the_next_agent_also_when_a_pod_in_between_had_none() {
    let mut session = session();
    session.status.as_mut().unwrap().interrupted = true;
    let mut early = disrupted("EvictionByEvictionAPI");
    early.status.as_mut().unwrap().container_statuses = None;
    early.status.as_mut().unwrap().phase = Some("Failed".to_owned());
    let status = plan_at(&session, &view(&early), later(10)).status;
    assert_eq!((status.disruptions, status.interrupted), (1, true));
}

#[test]
fn a_pod_of_an_older_version_is_a_runner_pod_all_the_same() {
    let mut old = running_pod();
    old.metadata.annotations.as_mut().unwrap().remove(annotation::PLAN);
    let session = at_work(&session(), &running_pod());
    let plan = plan_at(&session, &view(&old), later(10));
    assert_eq!((step_names(&plan), plan.status.phase), (vec![], Phase::Running));
}

#[test]
fn a_pod_deleted_by_hand_ends_a_cancelled_session_as_cancelled() {
    let mut session = at_work(&session(), &running_pod());
    session.spec.cancel = Some(Cancel::default());
    let gone = deleted(on_node("Failed", terminated(143, "Error", ""), terminated(0, "", "")), 3);
    for pods in [view(&gone), vec![]] {
        assert_eq!(
            place(&plan_at(&session, &pods, later(20)).status),
            (Phase::Cancelled, Some(Reason::CancelRequested))
        );
    }
}

#[test]
fn an_agent_that_says_its_broker_ended_it_is_believed_once_the_broker_says_so() {
    let lost = r#"{"reason":"ReportingLost","message":"nobody answered"}"#;
    // The gateway came back in time for the last report, and the broker's container has not ended yet.
    let reported_late = |broker| reported(on_node("Running", terminated(143, "Error", lost), broker), &last_report());
    let session = at_work(&session(), &running_pod());
    let wait = plan_at(&session, &view(&reported_late(running())), later(10));
    assert_eq!((wait.waiting, wait.status.phase), (Some(Waiting::Report), Phase::Running));
    let confirmed = plan_at(&session, &view(&reported_late(terminated(1, "", lost))), later(10)).status;
    assert_eq!(place(&confirmed), (Phase::Pending, Some(Reason::Disrupted)));
    let denied = plan_at(&session, &view(&reported_late(terminated(0, "", ""))), later(10)).status;
    assert_eq!(place(&denied), (Phase::Failed, Some(Reason::NonZeroExit)));
}

#[test]
fn what_a_report_says_beyond_the_bounds_of_status_is_left_out() {
    let artifact = |name: &str, sha256: &str| Artifact { name: name.to_owned(), size: 1, sha256: sha256.to_owned() };
    let good = "ab".repeat(32);
    let mut huge = turn("huge");
    huge.attempt = u32::MAX;
    let report = Report {
        turns: vec![turn("-"), turn("Ö"), turn(&"a".repeat(64)), huge, turn("prompt")],
        consumed: vec!["short".to_owned(), "********".to_owned()],
        artifacts: vec![
            artifact("out/a", &good),
            artifact("out/a", &good),
            artifact(&"a".repeat(151), &good),
            artifact("out/b", "AB"),
        ],
        ..last_report()
    };
    let pod = reported(on_node("Succeeded", terminated(0, "", ""), terminated(0, "", "")), &report);
    let status = status_with(&pod);
    let turns: Vec<_> = status.turns.iter().map(|turn| turn.message.as_str()).collect();
    assert_eq!((turns, status.consumed.len(), status.artifacts.len()), (vec!["prompt"], 1, 1));
    let stored = status.conditions.iter().find(|c| c.type_ == condition::ARTIFACTS_STORED).unwrap();
    assert_eq!((stored.status.as_str(), stored.reason.as_str()), ("False", "Incomplete"));
}

#[test]
fn what_the_session_still_says_is_never_forgotten_as_dealt_with() {
    let mut session = asking(json!({ "messages": [{ "id": "kept", "text": "" }] }));
    for number in 0..1100 {
        let first = if number == 0 { vec![turn("prompt"), turn("kept")] } else { Vec::new() };
        let turns = [first, vec![turn(&format!("m{number}"))]].concat();
        let report = Report { turns, waiting: None, ..Report::default() };
        session.status = Some(plan_at(&session, &view(&reported(running_pod(), &report)), later(10)).status);
    }
    let status = session.status.as_ref().unwrap();
    let known = |id: &str| status.consumed.contains(&drover_api::session::consumed_entry(id));
    assert!(status.consumed.len() == 1024 && known("prompt") && known("kept") && known("m1099") && !known("m0"));
    assert_eq!(status.turns.iter().filter(|turn| turn.message == "kept").count(), 0, "it was told long ago");
}

#[test]
fn an_attempt_for_messages_that_dealt_with_none_is_not_followed_by_another_at_once() {
    let mut session = asking(json!({ "messages": [{ "id": "more", "text": "" }] }));
    let done = reported(
        on_node("Succeeded", terminated(0, "", ""), terminated(0, "", "")),
        &Report { turns: vec![turn("prompt")], ..last_report() },
    );
    session.status = Some(plan_at(&session, &view(&done), later(10)).status);
    assert_eq!(session.status.as_ref().unwrap().next_attempt_at, Some(Time(later(10))));
    let status = plan_at(&session, &view(&at_attempt(done, 2)), later(10)).status;
    assert_eq!(place(&status), (Phase::Pending, Some(Reason::MessagesPending)));
    assert!(status.next_attempt_at.unwrap().0 >= later(15));
}
