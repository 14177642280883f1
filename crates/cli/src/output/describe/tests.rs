use drover_api::Session;
use jiff::Timestamp;
use serde_json::json;

use super::{Palette, sessions};

fn now() -> Timestamp {
    "2026-03-01T12:10:00Z".parse().unwrap()
}

fn failed() -> Session {
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session",
        "metadata": { "name": "tidy", "namespace": "team", "creationTimestamp": "2026-03-01T12:00:00Z" },
        "spec": { "prompt": "exit 3", "timeout": "1h30m" },
        "status": {
            "observedGeneration": 1, "phase": "Failed", "reason": "NonZeroExit",
            "message": "The agent ended with\nexit code 3.", "attempt": 1, "exitCode": 3,
            "pod": { "name": "drover-run-tidy-1", "node": "n1" },
            "startedAt": "2026-03-01T12:00:04Z", "finishedAt": "2026-03-01T12:03:24Z",
            "artifacts": [{ "name": "out/a.txt", "size": 2048, "sha256": "ab".repeat(32) }],
            "conditions": [{ "type": "Complete", "status": "True", "reason": "NonZeroExit",
                             "message": "The agent ended with exit code 3.",
                             "lastTransitionTime": "2026-03-01T12:03:24Z" }],
        },
    }))
    .unwrap()
}

fn new() -> Session {
    serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session",
        "metadata": { "name": "fresh", "namespace": "other", "creationTimestamp": "2026-03-01T12:09:58Z" },
        "spec": { "prompt": "true", "framework": "aider" },
        "status": { "observedGeneration": -1, "phase": "Pending" },
    }))
    .unwrap()
}

#[test]
fn lists_sessions() {
    let list = [failed(), new()];
    let expected = "\
NAME    PHASE     REASON        FRAMEWORK   EXIT   DURATION   AGE
tidy    Failed    NonZeroExit   shell       3      3m20s      10m
fresh   Pending                 aider                         2s
";
    assert_eq!(sessions(&list, false, now(), Palette::new(false)), expected);
    let all = sessions(&list, true, now(), Palette::new(false));
    assert!(all.starts_with("NAMESPACE   NAME    PHASE"), "{all}");
    assert!(all.contains("\nteam        tidy    Failed"), "{all}");
}

#[test]
fn colours_the_phase_on_a_terminal_only() {
    let list = [failed()];
    assert!(sessions(&list, false, now(), Palette::new(true)).contains("\u{1b}[31mFailed\u{1b}[0m"));
    assert!(!sessions(&list, false, now(), Palette::new(false)).contains('\u{1b}'));
}
