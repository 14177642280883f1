//! The statuses that a kubelet writes.

use drover_api::names::container;
use serde_json::{Value, json};

use super::Script;

pub(super) fn running() -> Value {
    let state = json!({ "running": { "startedAt": jiff::Timestamp::now() } });
    pod_status("Running", &state, &state)
}

/// The end of a pod whose agent did as the script says.
pub(super) fn ended(script: &Script) -> Value {
    let now = jiff::Timestamp::now();
    let state = |exit_code: i32, reason: &str, said: Option<&str>| {
        let message = said.map(|reason| json!({ "reason": reason, "message": "as the script says" }).to_string());
        json!({ "terminated": {
            "exitCode": exit_code, "reason": reason, "message": message, "startedAt": now, "finishedAt": now,
        } })
    };
    let agent = state(script.exit_code, script.reason, script.said);
    let broker = state(0, "Completed", script.broker_said);
    let mut status = pod_status(if script.exit_code == 0 { "Succeeded" } else { "Failed" }, &agent, &broker);
    if let Some(reason) = script.pod_reason {
        status["reason"] = json!(reason);
        status["message"] = json!("as the script says");
    }
    if let Some(reason) = script.disruption {
        status["conditions"] = json!([{
            "type": "DisruptionTarget", "status": "True", "reason": reason, "message": "as the script says",
            "lastTransitionTime": now,
        }]);
    }
    status
}

fn pod_status(phase: &str, agent: &Value, broker: &Value) -> Value {
    let status = |name: &str, state: &Value| json!({ "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state });
    json!({
        "phase": phase,
        "containerStatuses": [status(container::AGENT, agent)],
        "initContainerStatuses": [status(container::BROKER, broker)],
    })
}
