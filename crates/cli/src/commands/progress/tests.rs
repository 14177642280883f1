use drover_api::Session;
use serde_json::{Value, json};

use super::{Palette, hint, is_stalled, line};

fn session(status: Value) -> Session {
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session", "metadata": { "name": "x" },
        "spec": { "prompt": "x" }, "status": status,
    }))
    .unwrap()
}

fn told(status: Value) -> String {
    line(&session(status), Palette::new(false))
}

#[test]
fn each_phase_has_its_line() {
    assert_eq!(told(json!({ "phase": "Pending", "observedGeneration": -1 })), "pending: waiting for the operator");
    assert_eq!(
        told(json!({ "phase": "Pending", "reason": "Unschedulable", "message": "no node has 8 CPUs" })),
        "pending: no node has 8 CPUs"
    );
    assert_eq!(told(json!({ "phase": "Running", "pod": { "name": "p", "node": "n1" } })), "running on node n1");
    let times = json!({ "startedAt": "2026-03-01T12:00:00Z", "finishedAt": "2026-03-01T12:01:05Z" });
    let with = |mut status: Value| {
        status.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        told(status)
    };
    assert_eq!(with(json!({ "phase": "Succeeded" })), "succeeded after 1m5s");
    assert_eq!(
        with(json!({ "phase": "Failed", "reason": "NonZeroExit", "message": "The agent\nended with 3." })),
        "failed after 1m5s: The agent ended with 3."
    );
    assert_eq!(told(json!({ "phase": "Failed", "reason": "PodDeleted" })), "failed: PodDeleted");
    let cancelled = json!({ "phase": "Cancelled", "reason": "CancelRequested", "message": "jane cancelled it." });
    assert_eq!(with(cancelled), "cancelled after 1m5s: jane cancelled it.");
    let again = json!({ "phase": "Running", "attempt": 2, "pod": { "name": "p", "node": "n1" } });
    assert_eq!(told(again), "running on node n1, attempt 2");
}

#[test]
fn what_waits_for_somebody_says_what_to_do() {
    let both = |status: Value, suspend: Option<Value>| {
        let mut session = session(status);
        session.spec.suspend = suspend.map(|suspend| serde_json::from_value(suspend).unwrap());
        (line(&session, Palette::new(false)), hint(&session, "x -n team").unwrap_or_default())
    };
    let asked = json!({ "text": "Which\nbranch?", "message": "prompt", "askedAt": "2026-03-01T12:00:00Z" });
    let expected = [
        ("waiting for an answer: Which branch?", "answer with: kubectl drover message x -n team 'TEXT'"),
        ("waiting for a message", "go on with: kubectl drover message x -n team 'TEXT'"),
        ("suspended: jane asked for it", "go on with: kubectl drover resume x -n team"),
        ("suspended: nobody said anything", "go on with: kubectl drover message x -n team 'TEXT'"),
        ("running", ""),
    ];
    let told = [
        both(json!({ "phase": "Waiting", "question": asked }), None),
        both(json!({ "phase": "Waiting" }), None),
        both(json!({ "phase": "Suspended", "message": "jane asked for it" }), Some(json!({}))),
        both(json!({ "phase": "Suspended", "message": "nobody said anything" }), None),
        both(json!({ "phase": "Running" }), None),
    ];
    assert_eq!(told, expected.map(|(line, hint)| (line.to_owned(), hint.to_owned())));
}

#[test]
fn only_what_waits_for_a_change_is_stalled() {
    let stalled = |phase: &str, status: &str| {
        let condition = json!({ "type": "Stalled", "status": status, "reason": "UnknownFramework", "message": "m",
                                "lastTransitionTime": "2026-03-01T12:00:00Z" });
        is_stalled(&session(json!({ "phase": phase, "conditions": [condition] })).status.unwrap())
    };
    assert!(stalled("Pending", "True"));
    assert!(!stalled("Pending", "False"));
    // A failed Session is stalled for kstatus too; here it has simply ended.
    assert!(!stalled("Failed", "True"));
}
