use drover_api::{
    Session,
    framework::Framework,
    names::{POD_FINALIZER, annotation, condition},
    report::{Artifact, Report},
    session::PodReference,
    state::{Phase, Reason},
};
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;
use crate::{Settings, build};

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn later(seconds: u64) -> Timestamp {
    now() + std::time::Duration::from_secs(seconds)
}

fn settings() -> Settings {
    Settings {
        runner_image: "drover/runner:1".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        gateway_runner_url: "https://drover-gateway-runner.drover-system.svc:9443".to_owned(),
        gateway_ca: "-----BEGIN CERTIFICATE-----\n".to_owned(),
        default_timeout: drover_api::Duration::from_secs(3600).unwrap(),
        pod_retention: std::time::Duration::from_secs(600),
        start_timeout: drover_api::Duration::from_secs(3600).unwrap(),
        reporting_patience: drover_api::Duration::from_secs(120).unwrap(),
        max_checkpoint_bytes: 1 << 30,
        status_delay: std::time::Duration::from_secs(2),
    }
}

fn session() -> Session {
    let spec = serde_json::from_value(serde_json::json!({ "prompt": "", "artifacts": ["out/*"] })).unwrap();
    let mut session = Session::new("hello", spec);
    session.metadata.namespace = Some("team-a".to_owned());
    session.metadata.uid = Some("0b6a1f5e-0000-4000-8000-000000000001".to_owned());
    session.metadata.generation = Some(1);
    session.metadata.resource_version = Some("7".to_owned());
    session.status = Some(SessionStatus { observed_generation: Some(-1), ..SessionStatus::default() });
    session
}

fn shell() -> Framework {
    Framework {
        image: "drover/shell:1".to_owned(),
        command: vec!["/bin/sh".to_owned(), "{promptFile}".to_owned()],
        resume_command: Vec::new(),
        interrupted_notice: String::new(),
        output: drover_api::framework::OutputFormat::Text,
        env: [("PRICE".to_owned(), "$(HOME) costs 5$".to_owned())].into(),
        run_as_user: None,
    }
}

fn frameworks() -> Frameworks {
    Frameworks::Known(
        [("shell".to_owned(), Ok(shell())), ("broken".to_owned(), Err("image is empty".to_owned()))].into(),
    )
}

/// The pod that the plan for this Session makes, as the API server would hand it back.
fn pod() -> Pod {
    pod_of(&session(), 1)
}

fn pod_of(session: &Session, attempt: u32) -> Pod {
    let (shell, settings) = (shell(), settings());
    let timeout = settings.default_timeout;
    let recipe =
        build::pod::Recipe { session, framework: &shell, attempt, timeout, interrupted: false, settings: &settings };
    let mut pod = build::pod(recipe);
    pod.metadata.uid = Some("pod-uid".to_owned());
    pod.metadata.resource_version = Some("9".to_owned());
    pod.metadata.creation_timestamp = Some(Time(now()));
    pod
}

fn container(name: &str, state: ContainerState) -> ContainerStatus {
    ContainerStatus { name: name.to_owned(), state: Some(state), ..ContainerStatus::default() }
}

fn running() -> ContainerState {
    let running = ContainerStateRunning { started_at: Some(Time(later(1))) };
    ContainerState { running: Some(running), ..ContainerState::default() }
}

fn terminated(exit_code: i32, reason: &str, message: &str) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code,
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        started_at: Some(Time(later(1))),
        finished_at: Some(Time(later(5))),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// A pod on a node whose agent and broker are in these states.
fn on_node(phase: &str, agent: ContainerState, broker: ContainerState) -> Pod {
    let mut pod = pod();
    pod.spec.as_mut().unwrap().node_name = Some("node-1".to_owned());
    pod.status = Some(PodStatus {
        phase: Some(phase.to_owned()),
        container_statuses: Some(vec![container("agent", agent)]),
        init_container_statuses: Some(vec![container("broker", broker)]),
        ..PodStatus::default()
    });
    pod
}

fn reported(mut pod: Pod, report: &Report) -> Pod {
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(annotation::REPORT.to_owned(), serde_json::to_string(report).unwrap());
    pod
}

fn last_report() -> Report {
    let artifact = Artifact { name: "out/a".to_owned(), size: 3, sha256: "ab".repeat(32) };
    Report { sequence: 1, last: true, artifacts: vec![artifact], ..Report::default() }
}

fn view(pod: &Pod) -> Vec<Arc<RunnerPod>> {
    vec![Arc::new(RunnerPod::read(pod).unwrap())]
}

fn plan_at(session: &Session, pods: &[Arc<RunnerPod>], at: Timestamp) -> Plan {
    let frameworks = frameworks();
    let observed =
        Observed { session, pods, frameworks: &frameworks, service_account: true, admission: Admission::Admitted };
    plan(&observed, &settings(), at)
}

/// The status after a pod was seen, as settled.
fn status_with(pod: &Pod) -> SessionStatus {
    plan_at(&session(), &view(pod), later(10)).status
}

fn reason_of(pod: &Pod) -> (Phase, Option<Reason>) {
    let status = status_with(pod);
    (status.phase, status.reason)
}

/// A Session with this status, one version on.
fn with_status(status: SessionStatus) -> Session {
    Session { status: Some(status), ..session() }
}

#[test]
fn a_new_session_gets_its_pod_and_no_status_yet() {
    let plan = plan_at(&session(), &[], now());
    insta::assert_yaml_snapshot!(
        "new_session_pod",
        match &plan.steps[..] {
            [Step::CreatePod(pod)] => pod,
            other => panic!("{other:?}"),
        }
    );
    assert_eq!(Some(&plan.status), session().status.as_ref());
    assert_eq!((plan.waiting, plan.wake), (Some(Waiting::PodStart), Some(later(2))));
}

#[test]
fn a_namespace_without_the_service_account_gets_it_first() {
    let (session, frameworks) = (session(), frameworks());
    let observed = Observed {
        session: &session,
        pods: &[],
        frameworks: &frameworks,
        service_account: false,
        admission: Admission::Admitted,
    };
    let plan = plan(&observed, &settings(), now());
    assert!(matches!(&plan.steps[..], [Step::CreateServiceAccount, Step::CreatePod(_)]), "{:?}", plan.steps);
}

#[test]
fn a_starting_pod_is_told_after_a_moment_only() {
    let pods = view(&pod());
    let early = plan_at(&session(), &pods, later(1));
    assert_eq!((Some(&early.status), early.wake), (session().status.as_ref(), Some(later(2))));
    let late = plan_at(&session(), &pods, later(2));
    assert_eq!((late.status.phase, late.status.reason), (Phase::Pending, Some(Reason::Starting)));
    assert_eq!(late.wake, Some(later(3600)), "then it has not started in time");
}

#[test]
fn a_running_agent_is_told_at_once() {
    let plan = plan_at(&session(), &view(&on_node("Running", running(), running())), now());
    insta::assert_yaml_snapshot!("running_status", plan.status);
    assert_eq!(plan.waiting, Some(Waiting::Agent));
}

#[test]
fn a_success_with_its_report_is_recorded() {
    let pod = reported(on_node("Running", terminated(0, "Completed", ""), running()), &last_report());
    insta::assert_yaml_snapshot!("succeeded_status", status_with(&pod));
}

#[test]
fn an_end_waits_for_its_last_report_but_not_for_ever() {
    let pod = on_node("Running", terminated(0, "Completed", ""), running());
    let wait = plan_at(&session(), &view(&pod), later(10));
    assert_eq!((wait.waiting, wait.wake), (Some(Waiting::Report), Some(later(135))));
    assert_eq!(Some(&wait.status), session().status.as_ref());
    let end = plan_at(&session(), &view(&pod), later(135));
    assert_eq!(end.status.phase, Phase::Succeeded);
    let stored = end.status.conditions.iter().find(|c| c.type_ == condition::ARTIFACTS_STORED).unwrap();
    assert_eq!((stored.status.as_str(), stored.reason.as_str()), ("Unknown", "ReportMissing"));
}

#[test]
fn an_end_does_not_wait_for_a_broker_that_ended() {
    let ended = on_node("Running", terminated(0, "Completed", ""), terminated(0, "Completed", ""));
    assert_eq!(reason_of(&ended), (Phase::Succeeded, Some(Reason::Completed)));
}

#[test]
fn every_ending_has_its_reason() {
    let end =
        |exit_code, reason: &str, message: &str| on_node("Failed", terminated(exit_code, reason, message), running());
    let said = |reason: &str| format!(r#"{{"reason":"{reason}","message":"because"}}"#);
    let failed = |reason| (Phase::Failed, Some(reason));
    assert_eq!(reason_of(&end(3, "Error", "")), failed(Reason::NonZeroExit));
    assert_eq!(reason_of(&end(137, "OOMKilled", "")), failed(Reason::OutOfMemory));
    assert_eq!(reason_of(&end(137, "Error", &said("OutOfMemory"))), failed(Reason::OutOfMemory));
    assert_eq!(reason_of(&end(124, "Error", &said("DeadlineExceeded"))), failed(Reason::DeadlineExceeded));
    assert_eq!(reason_of(&end(127, "Error", &said("CommandNotFound"))), failed(Reason::CommandNotFound));
    assert_eq!(
        reason_of(&end(1, "Error", &said("Evicted"))),
        failed(Reason::NonZeroExit),
        "the agent may not say that"
    );
    let mut deleted = end(143, "Error", "");
    deleted.metadata.deletion_timestamp = Some(Time(later(3)));
    assert_eq!(reason_of(&deleted), failed(Reason::PodDeleted));
    let of_pod = |reason: &str| {
        let mut pod = end(137, "Error", "");
        pod.status.as_mut().unwrap().reason = Some(reason.to_owned());
        pod
    };
    assert_eq!(reason_of(&of_pod("Evicted")), failed(Reason::DiskExceeded), "nobody else wanted it");
    assert_eq!(reason_of(&of_pod("DeadlineExceeded")), failed(Reason::DeadlineExceeded));
    let mut never_started = on_node("Failed", ContainerState::default(), ContainerState::default());
    never_started.status.as_mut().unwrap().reason = Some("NodeAffinity".to_owned());
    assert_eq!(reason_of(&never_started), failed(Reason::PodFailed));
}

#[test]
fn a_pod_that_does_not_start_says_why() {
    let mut nowhere = pod();
    nowhere.status = serde_json::from_value(serde_json::json!({
        "phase": "Pending",
        "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes" }],
    }))
    .unwrap();
    assert_eq!(reason_of(&nowhere), (Phase::Pending, Some(Reason::Unschedulable)));
    let waiting = |reason: &str| -> ContainerState {
        serde_json::from_value(serde_json::json!({ "waiting": { "reason": reason, "message": "no such image" } }))
            .unwrap()
    };
    let image = on_node("Pending", waiting("PodInitializing"), waiting("ImagePullBackOff"));
    let status = status_with(&image);
    assert_eq!(status.reason, Some(Reason::ImagePullFailed));
    assert!(status.message.unwrap().contains("no such image"));
}

#[test]
fn what_cannot_be_accepted_says_what_to_write() {
    let of = |framework: &str, frameworks: &Frameworks| {
        let mut session = session();
        session.spec.framework = framework.to_owned();
        let observed = Observed {
            session: &session,
            pods: &[],
            frameworks,
            service_account: true,
            admission: Admission::Admitted,
        };
        let plan = plan(&observed, &settings(), now());
        assert!(plan.steps.is_empty() && plan.waiting == Some(Waiting::Acceptance));
        plan.status
    };
    let unknown = of("nosuch", &frameworks());
    assert_eq!(unknown.reason, Some(Reason::UnknownFramework));
    assert!(unknown.message.clone().unwrap().contains("broken, shell"), "{unknown:?}");
    assert_eq!(of("broken", &frameworks()).reason, Some(Reason::InvalidFramework));
    let unread = of("shell", &Frameworks::Unavailable("there is none".to_owned()));
    let is = |status: &SessionStatus, type_: &str| {
        status.conditions.iter().find(|c| c.type_ == type_).map(|c| c.status.clone())
    };
    assert_eq!(is(&unread, condition::ACCEPTED).as_deref(), Some("Unknown"));
    assert_eq!(is(&unread, condition::RECONCILING).as_deref(), Some("True"));
    assert_eq!(is(&unknown, condition::STALLED).as_deref(), Some("True"));
}

#[test]
fn an_accepted_run_goes_on_when_its_framework_is_taken_away() {
    let session = session();
    let none = Frameworks::Known([].into());
    let pods = view(&on_node("Running", running(), running()));
    let observed = Observed {
        session: &session,
        pods: &pods,
        frameworks: &none,
        service_account: true,
        admission: Admission::Admitted,
    };
    assert_eq!(plan(&observed, &settings(), now()).status.phase, Phase::Running);
}

#[test]
fn a_pod_that_is_deleted_after_its_agent_ended_tells_of_the_agent() {
    let deleted = |asked: u64| {
        let mut pod = on_node("Failed", terminated(3, "Error", ""), running());
        pod.metadata.deletion_timestamp = Some(Time(later(asked + 120)));
        pod.metadata.deletion_grace_period_seconds = Some(120);
        reason_of(&pod).1
    };
    assert_eq!(deleted(6), Some(Reason::NonZeroExit), "the agent ended at 5");
    assert_eq!(deleted(3), Some(Reason::PodDeleted));
}

#[test]
fn an_outcome_that_cannot_be_is_not_believed_and_nothing_runs_again() {
    for outcome in [
        r#"{"phase":"Running","reason":"Completed","finishedAt":"2026-01-01T00:00:00Z"}"#,
        r#"{"phase":"Failed","reason":"Completed","finishedAt":"9999-12-30T22:00:00Z"}"#,
        "",
    ] {
        let mut session = session();
        session.metadata.annotations = Some([(annotation::OUTCOME.to_owned(), outcome.to_owned())].into());
        let plan = plan_at(&session, &[], now());
        assert_eq!((plan.status.phase, plan.steps.len()), (Phase::Failed, 0), "{outcome}");
        assert_eq!(plan.status.finished_at, Some(Time(now())));
    }
}

#[test]
fn an_image_that_cannot_be_fetched_is_told_once() {
    let waiting = |reason: &str| -> ContainerState {
        serde_json::from_value(serde_json::json!({ "waiting": { "reason": reason, "message": reason } })).unwrap()
    };
    let first = status_with(&on_node("Pending", waiting("ErrImagePull"), running()));
    let again = view(&on_node("Pending", waiting("ImagePullBackOff"), running()));
    assert_eq!(plan_at(&with_status(first.clone()), &again, later(20)).status, first);
}

fn finished_session() -> Session {
    let pod =
        reported(on_node("Succeeded", terminated(0, "Completed", ""), terminated(0, "Completed", "")), &last_report());
    with_status(status_with(&pod))
}

#[test]
fn a_finished_session_lets_its_pod_go_then_keeps_it_then_reclaims_it() {
    let session = finished_session();
    let held = on_node("Succeeded", terminated(0, "Completed", ""), terminated(0, "Completed", ""));
    let release = plan_at(&session, &view(&held), later(10));
    assert!(matches!(&release.steps[..], [Step::ReleasePod { finalizer: 0, .. }]), "{:?}", release.steps);
    let mut free = held;
    free.metadata.finalizers = None;
    let keep = plan_at(&session, &view(&free), later(10));
    assert_eq!((keep.steps.len(), keep.waiting, keep.wake), (0, Some(Waiting::Retention), Some(later(605))));
    let reclaim = plan_at(&session, &view(&free), later(605));
    assert!(matches!(&reclaim.steps[..], [Step::RecordOutcome(_), Step::DeletePod { .. }]), "{:?}", reclaim.steps);
    free.metadata.deletion_timestamp = Some(Time(later(605)));
    let mut recorded = session;
    recorded.metadata.annotations = Some([(annotation::OUTCOME.to_owned(), "{}".to_owned())].into());
    assert_eq!(plan_at(&recorded, &view(&free), later(606)).steps, []);
    assert_eq!(plan_at(&recorded, &[], later(606)).steps, []);
}

#[test]
fn a_recorded_pod_that_is_gone_ends_the_session() {
    let mut running = status_with(&on_node("Running", running(), running()));
    running.pod = Some(PodReference { name: "drover-run-x".to_owned(), uid: None, node: None });
    let status = plan_at(&with_status(running), &[], later(20)).status;
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::PodDeleted)));
}

#[test]
fn a_pod_of_a_namesake_is_stopped_then_let_go() {
    let mut other = on_node("Running", running(), running());
    other.metadata.labels.as_mut().unwrap().insert("drover.dev/session-uid".to_owned(), "another".to_owned());
    let steps = plan_at(&session(), &view(&other), now()).steps;
    assert!(matches!(&steps[..], [Step::DeletePod { .. }, Step::CreatePod(_)]), "{steps:?}");
    other.metadata.deletion_timestamp = Some(Time(now()));
    other.status.as_mut().unwrap().phase = Some("Failed".to_owned());
    assert_eq!(other.metadata.finalizers, Some(vec![POD_FINALIZER.to_owned()]));
    let steps = plan_at(&session(), &view(&other), now()).steps;
    assert!(matches!(&steps[..], [Step::ReleasePod { .. }, Step::CreatePod(_)]), "{steps:?}");
}

#[test]
fn what_the_api_server_refuses_is_told_and_tried_again_or_not() {
    let session = session();
    let settle = |receipt| plan_at(&session, &[], now()).settle(&session, &settings(), &[receipt], now());
    let refused = |for_good| Receipt::Refused { for_good, message: "exceeded quota: pods".to_owned() };
    let (quota, again) = settle(refused(false));
    assert_eq!((quota.phase, quota.reason), (Phase::Pending, Some(Reason::PodRefused)));
    assert!(again.is_some_and(|at| at >= later(30) && at < later(38)), "{again:?}");
    assert!(quota.message.unwrap().contains("exceeded quota"));
    let (invalid, again) = settle(refused(true));
    assert_eq!((invalid.phase, invalid.reason, again), (Phase::Failed, Some(Reason::InvalidPod), None));
    let (taken, _) = settle(Receipt::NameTaken("drover-run-x".to_owned()));
    assert_eq!((taken.phase, taken.reason), (Phase::Failed, Some(Reason::PodNameTaken)));
}

#[test]
fn a_pods_name_is_short_valid_and_its_own() {
    let mut long = session();
    long.metadata.name = Some(format!("{}.{}", "a".repeat(30), "b".repeat(32)));
    let name = build::pod_name(&long, 4_294_967_295);
    assert!(name.len() <= 63 && name.starts_with("drover-run-a") && !name.contains('.'), "{name}");
    long.metadata.uid = Some("another".to_owned());
    assert_ne!(build::pod_name(&long, 4_294_967_295), name);
}

mod life;
mod races;
mod simulation;

prop_compose! {
    fn states()(which in 0..3, code in 0..256i32, reason in "[A-Za-z]{0,12}", message in ".{0,60}") -> ContainerState {
        match which { 0 => ContainerState::default(), 1 => running(), _ => terminated(code, &reason, &message) }
    }
}

prop_compose! {
    fn pods()(
        phase in prop::sample::select(vec!["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
        agent in states(),
        broker in states(),
        deleting in any::<bool>(),
        held in any::<bool>(),
        report in prop::option::of(".{0,80}"),
    ) -> Pod {
        let mut pod = on_node(phase, agent, broker);
        pod.metadata.deletion_timestamp = deleting.then(|| Time(now()));
        pod.metadata.finalizers = held.then(|| vec![POD_FINALIZER.to_owned()]);
        match report {
            Some(text) => { pod.metadata.annotations.as_mut().unwrap().insert(annotation::REPORT.to_owned(), text); pod }
            None => reported(pod, &last_report()),
        }
    }
}

proptest! {
    #[test]
    fn no_time_is_too_late(pod in pods(), at in prop::sample::select(vec![Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX])) {
        let mut extreme = pod;
        extreme.metadata.creation_timestamp = Some(Time(at));
        extreme.metadata.deletion_timestamp = extreme.metadata.deletion_timestamp.map(|_| Time(at));
        let mut finished = finished_session();
        finished.status.as_mut().unwrap().finished_at = Some(Time(at));
        for session in [session(), finished] {
            for now in [Timestamp::MIN, now(), Timestamp::MAX] {
                let plan = plan_at(&session, &view(&extreme), now);
                let refused = Receipt::Refused { for_good: false, message: String::new() };
                let (status, _) = plan.settle(&session, &settings(), &[refused], now);
                prop_assert!(status.observed_generation.is_some());
            }
        }
    }

    #[test]
    fn planning_again_after_the_status_was_written_writes_it_no_more(pod in pods(), seconds in 0u64..1000) {
        let pods = view(&pod);
        let first = plan_at(&session(), &pods, later(seconds));
        let again = plan_at(&with_status(first.status.clone()), &pods, later(seconds));
        prop_assert_eq!(again.status, first.status);
    }

    #[test]
    fn a_finished_session_stays_as_it_is(pod in pods(), seconds in 0u64..1000) {
        let session = finished_session();
        let plan = plan_at(&session, &view(&pod), later(seconds));
        prop_assert_eq!(Some(&plan.status), session.status.as_ref());
        prop_assert!(!plan.steps.iter().any(|step| matches!(step, Step::CreatePod(_))));
    }

    #[test]
    fn a_session_has_one_pod_at_a_time(pod in pods(), seconds in 0u64..1000) {
        let plan = plan_at(&session(), &view(&pod), later(seconds));
        prop_assert!(!plan.steps.iter().any(|step| matches!(step, Step::CreatePod(_))));
    }
}
