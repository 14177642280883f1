use drover_api::Session;
use serde_json::{Value, json};

use super::{cancelling, resuming, settled, suspending, unneeded_cancel};
use drover_api::state::Phase;

fn session(spec: Value, status: Value) -> Session {
    let mut all = json!({ "prompt": "x" });
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session", "metadata": { "name": "x", "generation": 2 },
        "spec": all, "status": status,
    }))
    .unwrap()
}

fn in_phase(phase: &str) -> Session {
    session(json!({}), json!({ "phase": phase }))
}

#[test]
fn what_is_so_already_is_not_written_again() {
    let by = json!({ "by": "jane" });
    let suspended = session(json!({ "suspend": {} }), json!({ "phase": "Suspended" }));
    let cancelled = session(json!({ "cancel": { "by": "joe" } }), json!({ "phase": "Running" }));
    assert_eq!(suspending(&suspended, &by).unwrap(), [Value::Null; 0]);
    assert_eq!(resuming(&in_phase("Running"), "x").unwrap(), [Value::Null; 0]);
    for session in [&cancelled, &in_phase("Cancelled"), &in_phase("Succeeded")] {
        assert_eq!(cancelling(session, &by), [Value::Null; 0]);
    }
    assert_eq!(unneeded_cancel(&cancelled), "session.drover.dev/x is being cancelled already, by joe");
    assert_eq!(unneeded_cancel(&in_phase("Failed")), "session.drover.dev/x has ended already: Failed");
}

#[test]
fn a_change_names_its_field_alone() {
    let by = json!({ "by": "jane" });
    let running = in_phase("Running");
    assert_eq!(cancelling(&running, &by), [json!({ "op": "add", "path": "/spec/cancel", "value": by })]);
    assert_eq!(suspending(&running, &by).unwrap(), [json!({ "op": "add", "path": "/spec/suspend", "value": by })]);
    let suspended = session(json!({ "suspend": {} }), json!({ "phase": "Suspended" }));
    assert_eq!(resuming(&suspended, "x").unwrap(), [json!({ "op": "remove", "path": "/spec/suspend" })]);
    assert_eq!(cancelling(&suspended, &by).len(), 1, "what rests can be cancelled");
}

#[test]
fn what_cannot_be_says_why() {
    let by = json!({});
    let told = |result: anyhow::Result<Vec<Value>>| result.unwrap_err().to_string();
    assert_eq!(
        told(suspending(&in_phase("Succeeded"), &by)),
        "session.drover.dev/x has ended already (Succeeded) and cannot be suspended"
    );
    assert_eq!(
        told(resuming(&in_phase("Cancelled"), "x")),
        "session.drover.dev/x has ended already (Cancelled) and cannot be resumed"
    );
    let cancelled = session(json!({ "cancel": {} }), json!({ "phase": "Running" }));
    assert_eq!(told(suspending(&cancelled, &by)), "session.drover.dev/x is being cancelled and cannot be suspended");
    let idle = told(resuming(&in_phase("Suspended"), "x -n team"));
    assert!(idle.ends_with("goes on with the next message: kubectl drover message x -n team 'TEXT'"), "{idle}");
}

#[test]
fn a_state_from_before_the_change_is_not_waited_for() {
    let changed = session(json!({}), json!({ "phase": "Running", "observedGeneration": 1 }));
    let runs = settled(&changed, |phase| phase == Phase::Running);
    assert!(runs(&changed).is_none(), "the operator has not seen the change");
    assert!(runs(&session(json!({}), json!({ "phase": "Running", "observedGeneration": 2 }))).is_some());
    assert!(runs(&session(json!({}), json!({ "phase": "Pending", "observedGeneration": 2 }))).is_none());
    assert!(runs(&session(json!({}), json!({ "phase": "Failed", "observedGeneration": 1 }))).is_some());
}
