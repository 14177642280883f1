use serde_json::json;

use super::*;

fn pod(labels: serde_json::Value) -> Pod {
    let manifest = json!({
        "metadata": { "name": "p", "namespace": "n", "uid": "u", "labels": labels, "annotations": { "drover.dev/plan": "1" } },
    });
    serde_json::from_value(manifest).unwrap()
}

#[test]
fn a_pod_without_drovers_labels_is_no_runner_pod() {
    let all = json!({ "drover.dev/session": "s", "drover.dev/session-uid": "x", "drover.dev/attempt": "1" });
    assert!(RunnerPod::read(&pod(all.clone())).is_some());
    for missing in ["drover.dev/session", "drover.dev/session-uid", "drover.dev/attempt"] {
        let mut labels = all.clone();
        labels.as_object_mut().unwrap().remove(missing);
        assert_eq!(RunnerPod::read(&pod(labels)), None, "{missing}");
    }
}

#[test]
fn an_unreadable_report_is_no_report() {
    let labels = json!({ "drover.dev/session": "s", "drover.dev/session-uid": "x", "drover.dev/attempt": "1" });
    let mut pod = pod(labels);
    pod.metadata.annotations.as_mut().unwrap().insert("drover.dev/report".to_owned(), "{".to_owned());
    assert_eq!(RunnerPod::read(&pod).unwrap().report, None);
}
