//! What follows an attempt, and what the Session's author may ask for meanwhile.

use drover_api::{
    report::{Turn, Waiting as Waits},
    session::{Cancel, Suspend},
    state::Outcome,
};
use serde_json::{Value, json};

use super::*;
use crate::run::fate::{Again, FATES};

/// The Session with these fields in its spec.
pub(super) fn asking(fields: Value) -> Session {
    let mut session = session();
    let mut spec = serde_json::to_value(&session.spec).unwrap();
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    session.spec = serde_json::from_value(spec).unwrap();
    session
}

/// The Session with the status that the plan for its running pod gives it.
pub(super) fn at_work(session: &Session, pod: &Pod) -> Session {
    let plan = plan_at(session, &view(pod), later(10));
    Session { status: Some(plan.status), ..session.clone() }
}

/// The pod as if it had been made from this Session.
pub(super) fn made_from(session: &Session, mut pod: Pod) -> Pod {
    let hash = build::pod::plan_hash(session);
    pod.metadata.annotations.as_mut().unwrap().insert(annotation::PLAN.to_owned(), hash);
    pod
}

pub(super) fn running_pod() -> Pod {
    on_node("Running", running(), running())
}

pub(super) fn deleted(mut pod: Pod, asked: u64) -> Pod {
    pod.metadata.deletion_timestamp = Some(Time(later(asked + 120)));
    pod.metadata.deletion_grace_period_seconds = Some(120);
    pod
}

pub(super) fn disrupted(reason: &str) -> Pod {
    let mut pod = deleted(on_node("Failed", terminated(143, "Error", ""), terminated(0, "", "")), 3);
    pod.status.as_mut().unwrap().conditions = serde_json::from_value(
        json!([{ "type": "DisruptionTarget", "status": "True", "reason": reason, "message": "words" }]),
    )
    .unwrap();
    pod
}

pub(super) fn turn(message: &str) -> Turn {
    let at = Time(later(3));
    Turn {
        message: message.to_owned(),
        attempt: 1,
        started_at: at.clone(),
        finished_at: at,
        result: String::new(),
        usage: None,
    }
}

pub(super) fn waiting_report(question: Option<&str>) -> Report {
    let waits = Waits { since: Time(later(4)), question: question.map(ToOwned::to_owned) };
    Report { sequence: 1, turns: vec![turn("prompt")], waiting: Some(waits), ..Report::default() }
}

pub(super) fn step_names(plan: &Plan) -> Vec<&'static str> {
    let name = |step: &Step| match step {
        Step::CreateServiceAccount => "account",
        Step::CreateClaim(_) => "claim",
        Step::CreatePod(_) => "create",
        Step::RecordOutcome(_) => "outcome",
        Step::ReleasePod { .. } => "release",
        Step::DeletePod { grace: None, .. } => "delete",
        Step::DeletePod { grace: Some(_), .. } => "kill",
        Step::DeleteClaim => "delete claim",
        Step::DeleteSession => "delete session",
    };
    plan.steps.iter().map(name).collect()
}

pub(super) fn place(status: &SessionStatus) -> (Phase, Option<Reason>) {
    (status.phase, status.reason)
}

#[test]
fn every_ending_of_the_table_is_retried_as_it_says() {
    let end = |exit_code, reason: &str, said: &str| {
        on_node("Failed", terminated(exit_code, reason, said), terminated(0, "", ""))
    };
    let said = |reason: &str| format!(r#"{{"reason":"{reason}","message":"because"}}"#);
    let lost = on_node("Failed", terminated(143, "Error", ""), terminated(1, "", &said("ReportingLost")));
    let mut full = end(137, "Error", "");
    full.status.as_mut().unwrap().reason = Some("Evicted".to_owned());
    let mut failed = on_node("Failed", ContainerState::default(), ContainerState::default());
    failed.status.as_mut().unwrap().reason = Some("NodeAffinity".to_owned());
    let pods = [
        (Reason::NonZeroExit, end(3, "Error", "")),
        (Reason::CommandNotFound, end(127, "Error", &said("CommandNotFound"))),
        (Reason::OutOfMemory, end(137, "OOMKilled", "")),
        (Reason::DiskExceeded, full),
        (Reason::DeadlineExceeded, end(124, "Error", &said("DeadlineExceeded"))),
        (Reason::Evicted, disrupted("TerminationByKubelet")),
        (Reason::Drained, disrupted("EvictionByEvictionAPI")),
        (Reason::Preempted, disrupted("PreemptionByScheduler")),
        (Reason::NodeLost, disrupted("DeletionByTaintManager")),
        (Reason::ReportingLost, lost),
        (Reason::PodDeleted, deleted(end(143, "Error", ""), 3)),
        (Reason::BrokerLost, end(1, "Error", &said("BrokerLost"))),
        (Reason::RestoreFailed, end(1, "Error", &said("RestoreFailed"))),
        (Reason::PodFailed, failed),
    ];
    for (reason, pod) in pods {
        let fate = FATES.iter().find(|fate| fate.reason == reason).unwrap();
        let once = plan_at(&session(), &view(&pod), later(10)).status;
        let retried = plan_at(&asking(json!({ "retry": { "limit": 1 } })), &view(&pod), later(10)).status;
        let counts = (once.failures, once.disruptions);
        match fate.again {
            Again::Never => {
                assert_eq!((place(&once), place(&retried)), ((fate.phase, Some(reason)), (fate.phase, Some(reason))));
            }
            Again::ByRetry => {
                assert_eq!((place(&once), counts), ((Phase::Failed, Some(reason)), (1, 0)));
                assert_eq!(place(&retried), (Phase::Pending, Some(Reason::Retrying)), "{reason}");
            }
            Again::AfterDisruption => {
                assert_eq!((place(&once), counts), ((Phase::Pending, Some(Reason::Disrupted)), (0, 1)), "{reason}");
            }
        }
        assert_eq!(once.phase.is_finished(), once.next_attempt_at.is_none());
    }
}

#[test]
fn another_attempt_waits_for_its_pause_and_has_the_time_that_is_left() {
    let session = asking(json!({ "retry": { "limit": 1, "backoff": "1m" }, "timeout": "10s" }));
    let failed = made_from(&session, on_node("Failed", terminated(1, "Error", ""), terminated(0, "", "")));
    let ended = plan_at(&session, &view(&failed), later(10));
    let next = ended.status.next_attempt_at.clone().unwrap().0;
    assert!(next >= later(65) && next <= later(80), "{next}");
    assert_eq!((ended.status.active_seconds, ended.wake), (4, Some(next)));
    let between = Session { status: Some(ended.status), ..session.clone() };
    let wait = plan_at(&between, &view(&failed), later(30));
    assert_eq!((step_names(&wait), wait.waiting, wait.wake), (vec!["delete"], Some(Waiting::Backoff), Some(next)));
    let again = plan_at(&between, &[], next);
    assert_eq!(step_names(&again), ["create"]);
    let Step::CreatePod(pod) = &again.steps[0] else { panic!() };
    assert_eq!(pod.metadata.name, Some(build::pod_name(&session, 2)));
    assert!(pod.spec.as_ref().unwrap().containers[0].command.as_ref().unwrap().contains(&"6".to_owned()));
    let second = plan_at(&between, &view(&pod_of(&session, 2)), next + std::time::Duration::from_secs(2)).status;
    assert_eq!((second.attempt, second.next_attempt_at), (Some(2), None));
}

#[test]
fn an_agent_that_ran_for_its_timeout_gets_no_other_attempt() {
    let mut session = asking(json!({ "timeout": "10s" }));
    session.status.as_mut().unwrap().active_seconds = 10;
    let plan = plan_at(&session, &[], now());
    assert_eq!((place(&plan.status), plan.steps), ((Phase::Failed, Some(Reason::DeadlineExceeded)), vec![]));
}

#[test]
fn too_many_disruptions_are_a_failure() {
    let mut session = session();
    session.status.as_mut().unwrap().disruptions = 10;
    let status = plan_at(&session, &view(&disrupted("EvictionByEvictionAPI")), later(10)).status;
    assert_eq!(place(&status), (Phase::Failed, Some(Reason::TooManyDisruptions)));
}

#[test]
fn a_lost_nodes_pod_is_taken_for_dead_after_a_while_and_not_before() {
    let mut pod = deleted(running_pod(), 20);
    pod.status.as_mut().unwrap().conditions = serde_json::from_value(
        json!([{ "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager" }]),
    )
    .unwrap();
    let session = at_work(&session(), &running_pod());
    let early = plan_at(&session, &view(&pod), later(149));
    assert_eq!((early.status.phase, early.wake), (Phase::Running, Some(later(150))));
    let late = plan_at(&session, &view(&pod), later(150)).status;
    assert_eq!((place(&late), late.interrupted), ((Phase::Pending, Some(Reason::Disrupted)), true));
    assert_eq!(late.active_seconds, 19);
}

#[test]
fn a_pod_that_vanished_is_not_followed_by_another_at_once() {
    let session = at_work(&asking(json!({ "retry": { "limit": 2 } })), &running_pod());
    let status = plan_at(&session, &[], later(20)).status;
    assert_eq!((place(&status), status.failures), ((Phase::Pending, Some(Reason::Retrying)), 1));
    assert!(status.next_attempt_at.unwrap().0 >= later(150));
}

#[test]
fn a_cancelled_agent_is_stopped_then_killed_then_cancelled() {
    let mut session = at_work(&session(), &running_pod());
    session.spec.cancel = Some(Cancel { by: Some("ann".to_owned()) });
    let told = plan_at(&session, &view(&running_pod()), later(20));
    assert_eq!((step_names(&told), place(&told.status)), (vec![], (Phase::Running, Some(Reason::Cancelling))));
    assert_eq!(told.wake, Some(later(20)), "it goes on at once");
    session.status = Some(told.status);
    assert_eq!(step_names(&plan_at(&session, &view(&running_pod()), later(20))), ["delete"]);
    let dying = deleted(running_pod(), 20);
    let wait = plan_at(&session, &view(&dying), later(24));
    assert_eq!((step_names(&wait), wait.wake), (vec![], Some(later(25))));
    assert_eq!(step_names(&plan_at(&session, &view(&dying), later(25))), ["kill"]);
    let dead = deleted(on_node("Failed", terminated(143, "Error", ""), terminated(0, "", "")), 20);
    let status = plan_at(&session, &view(&dead), later(26)).status;
    assert_eq!(place(&status), (Phase::Cancelled, Some(Reason::CancelRequested)));
    assert_eq!(status.message.as_deref(), Some("The Session was cancelled by ann."));
    assert!(!status.conditions.iter().any(|c| c.type_ == condition::STALLED));
}

#[test]
fn an_agent_that_ended_well_before_it_could_be_cancelled_has_succeeded() {
    let mut session = at_work(&session(), &running_pod());
    session.spec.cancel = Some(Cancel::default());
    let done = reported(on_node("Succeeded", terminated(0, "", ""), terminated(0, "", "")), &last_report());
    assert_eq!(plan_at(&session, &view(&done), later(20)).status.phase, Phase::Succeeded);
}

#[test]
fn a_session_that_is_cancelled_or_suspended_before_it_ran_makes_no_pod() {
    let mut cancelled = session();
    cancelled.spec.cancel = Some(Cancel::default());
    let plan = plan_at(&cancelled, &[], now());
    assert_eq!((plan.status.phase, plan.steps.len()), (Phase::Cancelled, 0));
    let mut suspended = session();
    suspended.spec.suspend = Some(Suspend::default());
    let plan = plan_at(&suspended, &[], now());
    assert_eq!((plan.status.phase, plan.steps.len()), (Phase::Suspended, 0));
    let again = Session { status: Some(plan.status.clone()), ..suspended };
    assert_eq!(plan_at(&again, &[], later(1000)).status, plan.status, "nothing is written while it waits");
}

#[test]
fn a_suspended_session_goes_on_in_a_new_pod() {
    let mut session = at_work(&session(), &running_pod());
    session.spec.suspend = Some(Suspend { by: Some("ann".to_owned()) });
    session.status = Some(plan_at(&session, &view(&running_pod()), later(20)).status);
    assert_eq!(session.status.as_ref().unwrap().reason, Some(Reason::Suspending));
    let dead = deleted(on_node("Failed", terminated(143, "Error", ""), terminated(0, "", "")), 20);
    let status = plan_at(&session, &view(&dead), later(26)).status;
    assert_eq!(place(&status), (Phase::Suspended, Some(Reason::SuspendRequested)));
    assert_eq!((status.failures, status.disruptions, status.interrupted, &status.pod), (0, 0, true, &None));
    session.status = Some(status);
    assert_eq!(step_names(&plan_at(&session, &view(&dead), later(30))), ["release"]);
    session.spec.suspend = None;
    let plan = plan_at(&session, &[], later(40));
    assert_eq!((step_names(&plan), place(&plan.status)), (vec!["create"], (Phase::Pending, Some(Reason::Resuming))));
    let Step::CreatePod(pod) = &plan.steps[0] else { panic!() };
    let broker = &pod.spec.as_ref().unwrap().init_containers.as_ref().unwrap()[1];
    let interrupted = broker.env.as_ref().unwrap().iter().find(|v| v.name == "DROVER_PREVIOUS_INTERRUPTED");
    assert_eq!(interrupted.unwrap().value.as_deref(), Some("true"));
}

#[test]
fn a_session_that_is_resumed_while_it_stops_goes_on_all_the_same() {
    let mut session = at_work(&session(), &running_pod());
    session.spec.suspend = Some(Suspend::default());
    session.status = Some(plan_at(&session, &view(&running_pod()), later(20)).status);
    session.spec.suspend = None;
    let undone = plan_at(&session, &view(&running_pod()), later(20));
    assert_eq!((step_names(&undone), undone.status.phase), (vec![], Phase::Running), "it was not stopped yet");
    let dead = deleted(on_node("Failed", terminated(143, "Error", ""), terminated(0, "", "")), 20);
    session.status = Some(plan_at(&session, &view(&dead), later(26)).status);
    assert_eq!(session.status.as_ref().unwrap().phase, Phase::Suspended);
    assert_eq!(step_names(&plan_at(&session, &[], later(27))), ["create"]);
}

#[test]
fn an_agent_that_waits_says_for_what() {
    let interactive = asking(json!({ "interactive": true }));
    let asks = reported(running_pod(), &waiting_report(Some("Which branch?")));
    let status = plan_at(&interactive, &view(&asks), later(10)).status;
    assert_eq!(place(&status), (Phase::Waiting, Some(Reason::AwaitingAnswer)));
    let question = status.question.clone().unwrap();
    assert_eq!((question.text.as_str(), question.message.as_str()), ("Which branch?", "prompt"));
    assert_eq!((status.turns.len(), status.consumed.len()), (1, 1));
    let again = Session { status: Some(status.clone()), ..interactive.clone() };
    assert_eq!(plan_at(&again, &view(&asks), later(500)).status, status, "nothing is written while it waits");
    let waits = reported(running_pod(), &waiting_report(None));
    let status = plan_at(&interactive, &view(&waits), later(10)).status;
    assert_eq!(place(&status), (Phase::Waiting, Some(Reason::AwaitingMessage)));
    let works = Report { sequence: 2, turns: vec![turn("prompt")], ..Report::default() };
    let status = plan_at(&again, &view(&reported(running_pod(), &works)), later(20)).status;
    assert_eq!((place(&status), status.question), ((Phase::Running, Some(Reason::AgentRunning)), None));
}

#[test]
fn an_idle_conversation_is_suspended_and_goes_on_with_the_next_message_or_ends() {
    let mut session = asking(json!({ "interactive": true, "idle": { "suspendAfter": "1m", "deleteAfter": "1h" } }));
    let pod = reported(running_pod(), &waiting_report(None));
    let waits = plan_at(&session, &view(&pod), later(10));
    assert_eq!((waits.status.phase, waits.wake), (Phase::Waiting, Some(later(64))));
    session.status = Some(waits.status);
    let due = plan_at(&session, &view(&pod), later(64));
    assert_eq!(place(&due.status), (Phase::Waiting, Some(Reason::Idle)));
    session.status = Some(due.status);
    assert_eq!(step_names(&plan_at(&session, &view(&pod), later(64))), ["delete"]);
    let dead = deleted(on_node("Failed", terminated(143, "Error", ""), terminated(0, "", "")), 64);
    let ended = plan_at(&session, &view(&reported(dead, &waiting_report(None))), later(70)).status;
    assert_eq!((place(&ended), ended.interrupted), ((Phase::Suspended, Some(Reason::Idle)), false));
    session.status = Some(ended);
    let idle = plan_at(&session, &[], later(100));
    assert_eq!((idle.steps.len(), idle.wake), (0, Some(later(3604))));
    assert_eq!(place(&plan_at(&session, &[], later(3604)).status), (Phase::Succeeded, Some(Reason::IdleExpired)));
    session.spec.messages = serde_json::from_value(json!([{ "id": "more", "text": "" }])).unwrap();
    assert_eq!(step_names(&plan_at(&session, &[], later(100))), ["create"]);
}

#[test]
fn messages_that_came_while_the_agent_ended_are_dealt_with_by_another_attempt() {
    let session = asking(json!({ "messages": [{ "id": "one", "text": "" }, { "id": "two", "text": "" }] }));
    let done = |turns: &[&str], last: bool| {
        let report = Report { last, turns: turns.iter().map(|id| turn(id)).collect(), ..last_report() };
        let pod = reported(on_node("Succeeded", terminated(0, "", ""), terminated(0, "", "")), &report);
        plan_at(&session, &view(&pod), later(10)).status
    };
    assert_eq!(place(&done(&["prompt", "one"], true)), (Phase::Pending, Some(Reason::MessagesPending)));
    assert_eq!(done(&["prompt", "one", "two"], true).phase, Phase::Succeeded);
    assert_eq!(done(&["prompt"], false).phase, Phase::Succeeded, "nobody knows, so nothing is done twice");
}

#[test]
fn turns_are_remembered_once_and_within_bounds() {
    let mut status = SessionStatus::default();
    for number in 0..1100 {
        let turns = vec![turn(&format!("m{}", number.max(1) - 1)), turn(&format!("m{number}"))];
        conversation::fold(&session(), &mut status, &Report { turns, ..Report::default() });
    }
    assert_eq!((status.turns.len(), status.consumed.len()), (20, 1024));
    assert_eq!(status.turns.last().unwrap().message, "m1099");
}

#[test]
fn a_pod_that_does_not_start_in_time_is_given_up_with_the_words_of_who_knows() {
    let mut nowhere = pod();
    nowhere.status = serde_json::from_value(json!({
        "phase": "Pending",
        "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes" }],
    }))
    .unwrap();
    let session = at_work(&session(), &nowhere);
    let due = plan_at(&session, &view(&nowhere), later(3600));
    assert_eq!(step_names(&due), ["delete"]);
    nowhere.metadata.deletion_timestamp = Some(Time(later(3600)));
    let status = plan_at(&session, &view(&nowhere), later(3601)).status;
    assert_eq!(place(&status), (Phase::Failed, Some(Reason::Unschedulable)));
    assert!(status.message.unwrap().contains("0/1 nodes"));
}

#[test]
fn a_claim_is_made_before_the_first_pod_only() {
    let mut session = asking(json!({ "workspace": { "claim": { "size": "1Gi" } } }));
    assert_eq!(step_names(&plan_at(&session, &[], now())), ["claim", "create"]);
    session.status.as_mut().unwrap().attempt = Some(1);
    assert_eq!(step_names(&plan_at(&session, &[], now())), ["create"]);
}

fn ended_session(spec: Value, named: bool) -> Session {
    let mut session = asking(spec);
    if named {
        session.metadata.labels = Some([("drover.dev/origin".to_owned(), "plugin".to_owned())].into());
    }
    let done = reported(on_node("Succeeded", terminated(0, "", ""), terminated(0, "", "")), &last_report());
    session.status = Some(plan_at(&session, &view(&made_from(&session, done)), later(10)).status);
    session
}

fn outcome_of(plan: &Plan) -> Outcome {
    let text = plan.steps.iter().find_map(|step| match step {
        Step::RecordOutcome(text) => Some(text),
        _ => None,
    });
    serde_json::from_str(text.unwrap()).unwrap()
}

fn with_outcome(session: &Session, outcome: &Outcome) -> Session {
    let mut session = session.clone();
    let annotations = session.metadata.annotations.get_or_insert_default();
    annotations.insert(annotation::OUTCOME.to_owned(), serde_json::to_string(outcome).unwrap());
    session
}

#[test]
fn the_claim_of_an_applied_session_goes_after_its_ttl_and_the_object_stays() {
    let spec = json!({ "ttlAfterFinished": "1h", "workspace": { "claim": { "size": "1Gi" } } });
    let session = ended_session(spec, false);
    let first = plan_at(&session, &[], later(700));
    assert_eq!((step_names(&first), first.wake), (vec!["outcome"], Some(later(3605))));
    let noted = with_outcome(&session, &outcome_of(&first));
    assert_eq!(plan_at(&noted, &[], later(3604)).wake, Some(later(3605)));
    let expired = plan_at(&noted, &[], later(3605));
    assert_eq!((step_names(&expired), outcome_of(&expired).expires_at), (vec!["delete claim", "outcome"], None));
    let gone = with_outcome(&noted, &outcome_of(&expired));
    let rest = plan_at(&gone, &[], later(1_000_000));
    assert_eq!((rest.steps, rest.wake), (vec![], None));
}

#[test]
fn a_session_that_drover_named_goes_after_its_ttl_but_not_before_four_days() {
    let session = ended_session(json!({ "ttlAfterFinished": "1h" }), true);
    let noted = with_outcome(&session, &outcome_of(&plan_at(&session, &[], later(700))));
    let expired = plan_at(&noted, &[], later(3605));
    let four_days = 4 * 24 * 3600 + 5;
    assert_eq!((step_names(&expired), expired.wake), (vec!["outcome"], Some(later(four_days))));
    let noted = with_outcome(&noted, &outcome_of(&expired));
    assert_eq!(step_names(&plan_at(&noted, &[], later(four_days - 1))), [""; 0]);
    assert_eq!(step_names(&plan_at(&noted, &[], later(four_days))), ["delete session"]);
}

#[test]
fn a_short_ttl_shortens_the_retention_of_the_pod() {
    let session = ended_session(json!({ "ttlAfterFinished": "1m" }), false);
    let mut pod = on_node("Succeeded", terminated(0, "", ""), terminated(0, "", ""));
    pod.metadata.finalizers = None;
    assert_eq!(step_names(&plan_at(&session, &view(&pod), later(64))), [""; 0]);
    assert_eq!(step_names(&plan_at(&session, &view(&pod), later(65))), ["outcome", "delete"]);
}
