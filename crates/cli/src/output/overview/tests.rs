use drover_api::Session;
use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use super::{Overview, Palette};

fn overview(session: &Value, events: Result<Vec<Event>, String>) -> String {
    let session: Session = serde_json::from_value(session.clone()).unwrap();
    let overview = Overview {
        session: &session,
        events,
        hint: Some("answer with: kubectl drover message tidy -n team 'TEXT'".to_owned()),
        now: "2026-03-01T12:10:00Z".parse().unwrap(),
        palette: Palette::new(false),
    };
    overview.render()
}

fn event(kind: &str, reason: &str, message: &str) -> Event {
    serde_json::from_value(json!({
        "metadata": {}, "type": kind, "reason": reason, "message": message, "eventTime": "2026-03-01T12:00:05.000000Z",
        "involvedObject": { "kind": "Pod", "name": "drover-run-tidy-2" },
    }))
    .unwrap()
}

fn waiting() -> Value {
    json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session",
        "metadata": { "name": "tidy", "namespace": "team", "creationTimestamp": "2026-03-01T12:00:00Z" },
        "spec": {
            "prompt": "Tidy", "framework": "aider", "interactive": true, "timeout": "1h30m", "retry": { "limit": 3 },
            "messages": [{ "id": "more", "text": "More" },
                         { "id": "next", "text": "Then\nthe next", "by": "jane" }],
        },
        "status": {
            "observedGeneration": 3, "phase": "Waiting", "reason": "AwaitingAnswer", "message": "The agent asked a question.",
            "attempt": 2, "failures": 1, "disruptions": 2, "pod": { "name": "drover-run-tidy-2", "node": "n1" },
            "startedAt": "2026-03-01T12:00:04Z", "waitingSince": "2026-03-01T12:08:00Z",
            "question": { "text": "Which branch?\nmain or next?", "message": "more", "askedAt": "2026-03-01T12:08:00Z" },
            "turns": [
                { "message": "prompt", "attempt": 1, "startedAt": "2026-03-01T12:00:04Z",
                  "finishedAt": "2026-03-01T12:03:24Z", "result": "Tidied.\n\u{1b}[2J",
                  "usage": { "inputTokens": 1200, "outputTokens": 300, "cacheReadTokens": 50 } },
                { "message": "more", "attempt": 2, "startedAt": "2026-03-01T12:07:50Z",
                  "finishedAt": "2026-03-01T12:08:00Z" },
            ],
            "artifacts": [{ "name": "out/a.txt", "size": 2048, "sha256": "ab" }],
            "conditions": [
                { "type": "Accepted", "status": "True", "reason": "Accepted", "message": "m",
                  "lastTransitionTime": "2026-03-01T12:00:00Z" },
                { "type": "Complete", "status": "False", "reason": "AgentRunning", "message": "m",
                  "lastTransitionTime": "2026-03-01T12:00:00Z" },
                { "type": "WorkspaceKept", "status": "False", "reason": "TooLarge", "message": "big.bin was left out",
                  "lastTransitionTime": "2026-03-01T12:08:00Z" },
            ],
        },
    })
}

#[test]
fn all_that_is_known_hangs_on_one_tree() {
    let events = vec![event("Normal", "Pulled", "Image is there"), event("Warning", "BackOff", "again\nand again")];
    let expected = "\
Session team/tidy: Waiting (AwaitingAnswer)
├─ The agent asked a question.
├─ answer with: kubectl drover message tidy -n team 'TEXT'
├─ framework aider, interactive, timeout 1h30m, 3 retries
├─ Times
│  ├─ created         2026-03-01 12:00:00 UTC   10m ago
│  ├─ started         2026-03-01 12:00:04 UTC   9m56s ago
│  └─ waiting since   2026-03-01 12:08:00 UTC   2m ago
├─ Attempt 2
│  ├─ pod drover-run-tidy-2 on node n1
│  ├─ failed attempts: 1
│  └─ attempts cut short by the cluster: 2
├─ Turns
│  ├─ prompt   attempt 1   3m20s   1200 tokens in, 300 out, 50 cached   Tidied. �[2J
│  └─ more     attempt 2   10s
├─ Messages that wait
│  └─ next   by jane   Then the next
├─ Question, 2m ago, after message more
│  ├─ Which branch?
│  └─ main or next?
├─ Conditions
│  └─ WorkspaceKept=False   TooLarge   2m ago   big.bin was left out
├─ Artifacts
│  └─ out/a.txt   2.0 KiB
└─ Events
   ├─ 9m55s ago   Pulled    Pod/drover-run-tidy-2   Image is there
   └─ 9m55s ago   BackOff   Pod/drover-run-tidy-2   again and again
";
    assert_eq!(overview(&waiting(), Ok(events)), expected);
}

#[test]
fn an_ending_is_told_with_its_exit_code_and_who_wished_it() {
    let mut session = waiting();
    session["spec"] = json!({ "prompt": "x", "cancel": { "by": "jane" }, "workspace": { "claim": { "size": "1Gi" } } });
    session["status"] = json!({
        "phase": "Cancelled", "reason": "CancelRequested", "exitCode": 143,
        "startedAt": "2026-03-01T12:00:04Z", "finishedAt": "2026-03-01T12:03:24Z",
        "conditions": [{ "type": "Stalled", "status": "True", "reason": "x", "message": "m",
                         "lastTransitionTime": "2026-03-01T12:00:00Z" }],
    });
    let text = overview(&session, Err("events is forbidden".to_owned()));
    for line in [
        "Session team/tidy: Cancelled (CancelRequested, exit code 143)\n",
        "├─ framework shell, files on a claim\n├─ cancel requested by jane\n",
        "│  └─ finished   2026-03-01 12:03:24 UTC   6m36s ago   after 3m20s\n",
        "└─ Events\n   └─ cannot be shown: events is forbidden\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(!text.contains("Stalled"), "the phase says it: {text}");
}

#[test]
fn what_nobody_has_looked_at_is_short() {
    let mut session = waiting();
    session["spec"] = json!({ "prompt": "x" });
    session["status"] = json!({ "observedGeneration": -1, "phase": "Pending" });
    let session: Session = serde_json::from_value(session).unwrap();
    let now = "2026-03-01T12:00:02Z".parse().unwrap();
    let overview =
        Overview { session: &session, events: Ok(Vec::new()), hint: None, now, palette: Palette::new(false) };
    let expected = "\
Session team/tidy: Pending
├─ framework shell
└─ Times
   └─ created   2026-03-01 12:00:00 UTC   2s ago
";
    assert_eq!(overview.render(), expected);
}
