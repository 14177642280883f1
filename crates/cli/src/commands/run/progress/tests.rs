use drover_api::Session;
use serde_json::{Value, json};

use super::{Palette, is_stalled, line};

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
