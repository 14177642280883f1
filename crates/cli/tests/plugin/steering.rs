//! Cancel, suspend and resume, and what status tells.

use serde_json::{Value, json};

use super::{Result, World, finished};

#[tokio::test]
async fn a_session_is_suspended_and_resumed_by_somebody() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let told = |result: Result| (result.code, result.out);
    let done = |text: &str| (Some(0), format!("session.drover.dev/tidy {text}\n"));
    assert_eq!(told(world.run(&["suspend", "tidy"]).await), done("suspended"));
    assert_eq!(world.api.session("tidy").unwrap()["spec"]["suspend"], json!({ "by": "jane" }));
    assert_eq!(told(world.run(&["suspend", "tidy"]).await), done("is suspended already"));
    let message = world.run(&["message", "tidy", "hello"]).await;
    assert!(message.err.contains("to have it delivered: kubectl drover resume tidy -n team"), "{message:?}");
    assert_eq!(told(world.run(&["resume", "tidy"]).await), done("resumed"));
    assert_eq!(world.api.session("tidy").unwrap()["spec"].get("suspend"), None);
    assert_eq!(told(world.run(&["resume", "tidy"]).await), done("is not suspended"));
    assert_eq!(world.api.patches().len(), 3, "what is so already is not written");
}

#[tokio::test]
async fn steering_can_wait_until_it_has_happened() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let suspend = world.spawn(&["suspend", "tidy", "--wait"]);
    world.api.until("tidy", |session| session["spec"].get("suspend").is_some()).await;
    let status = json!({ "phase": "Suspended", "observedGeneration": 2, "message": "jane suspended it." });
    world.api.set_status("tidy", status);
    let suspend = Result::from(suspend.wait_with_output().await.unwrap());
    assert_eq!((suspend.code, suspend.out.as_str()), (Some(0), "session.drover.dev/tidy suspended\n"), "{suspend:?}");
    assert!(suspend.err.ends_with("suspended: jane suspended it.\n"), "{suspend:?}");

    let resume = world.spawn(&["resume", "tidy", "--wait", "-o", "json"]);
    world.api.until("tidy", |session| session["spec"].get("suspend").is_none()).await;
    world.api.set_status("tidy", json!({ "phase": "Pending", "observedGeneration": 3, "reason": "Resuming" }));
    world.api.set_status("tidy", json!({ "phase": "Running", "observedGeneration": 3, "attempt": 2 }));
    let resume = Result::from(resume.wait_with_output().await.unwrap());
    assert_eq!(resume.code, Some(0), "{resume:?}");
    assert!(resume.err.ends_with("running, attempt 2\n"), "{resume:?}");
    assert_eq!(serde_json::from_str::<Value>(&resume.out).unwrap()["status"]["phase"], "Running");

    let cancel = world.spawn(&["cancel", "tidy", "-w"]);
    let cancelled = world.api.until("tidy", |session| session["spec"].get("cancel").is_some()).await;
    assert_eq!(cancelled["spec"]["cancel"], json!({ "by": "jane" }));
    world.api.set_status("tidy", finished("Cancelled", 143, &[]));
    let cancel = Result::from(cancel.wait_with_output().await.unwrap());
    assert_eq!((cancel.code, cancel.out.as_str()), (Some(0), "session.drover.dev/tidy cancelled\n"), "{cancel:?}");
    assert!(cancel.err.ends_with("cancelled after 9s: The agent ended with 143.\n"), "{cancel:?}");
}

#[tokio::test]
async fn what_ends_meanwhile_is_told() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let suspend = world.spawn(&["suspend", "tidy", "--wait"]);
    world.api.until("tidy", |session| session["spec"].get("suspend").is_some()).await;
    world.api.set_status("tidy", finished("Succeeded", 0, &[]));
    let suspend = Result::from(suspend.wait_with_output().await.unwrap());
    assert_eq!(suspend.code, Some(1), "it is not suspended: {suspend:?}");
    assert!(suspend.err.ends_with("succeeded after 9s\n"), "{suspend:?}");
}

#[tokio::test]
async fn a_session_that_has_ended_is_left_alone() {
    let world = World::new().await;
    world.add_session("done", "Succeeded");
    world.add_session("stopped", "Cancelled");
    let cancel = world.run(&["cancel", "done", "--wait"]).await;
    assert_eq!((cancel.code, cancel.out.as_str()), (Some(0), "session.drover.dev/done has ended already: Succeeded\n"));
    let cancel = world.run(&["cancel", "stopped"]).await;
    assert_eq!(cancel.out, "session.drover.dev/stopped has ended already: Cancelled\n");
    for (command, what) in [("suspend", "suspended"), ("resume", "resumed")] {
        let refused = world.run(&[command, "done"]).await;
        let told = format!("error: session.drover.dev/done has ended already (Succeeded) and cannot be {what}\n");
        assert_eq!((refused.code, refused.err), (Some(1), told));
    }
    assert_eq!(world.api.patches().len(), 0);
}

#[tokio::test]
async fn one_that_rests_for_want_of_words_is_resumed_by_a_message() {
    let world = World::new().await;
    world.add_session("tidy", "Suspended");
    let refused = world.run(&["resume", "tidy"]).await;
    let told = "it goes on with the next message: kubectl drover message tidy -n team 'TEXT'\n";
    assert!(refused.code == Some(1) && refused.err.ends_with(told), "{refused:?}");
}

#[tokio::test]
async fn status_is_a_tree_with_the_events_of_session_and_pod() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    world.api.set_status("tidy", json!({ "phase": "Running", "attempt": 1, "pod": { "name": "p", "node": "n1" } }));
    let refused = world.run(&["status", "tidy"]).await;
    assert!(refused.out.ends_with("└─ Events\n   └─ cannot be shown: events is forbidden\n"), "{refused:?}");
    let event = |kind: &str, name: &str, reason: &str, time: &str| {
        json!({ "metadata": { "name": reason, "namespace": "team" }, "type": "Normal", "reason": reason,
                "message": "m", "lastTimestamp": time, "involvedObject": { "kind": kind, "name": name } })
    };
    let of_pod = "involvedObject.kind=Pod,involvedObject.name=p";
    world.api.tell(of_pod, event("Pod", "p", "Pulled", "2026-03-01T12:00:01Z"));
    for second in 10..30 {
        let time = format!("2026-03-01T11:59:{second}Z");
        world.api.tell("involvedObject.uid=1", event("Session", "tidy", "Earlier", &time));
    }
    world.api.tell("involvedObject.uid=1", event("Session", "tidy", "Started", "2026-03-01T12:00:02Z"));
    let status = world.run(&["status", "tidy"]).await;
    assert!(status.out.starts_with("Session team/tidy: Running\n├─ framework shell\n├─ Attempt 1\n"), "{status:?}");
    let events: Vec<&str> = status.out.lines().rev().take(11).filter(|line| line.contains("ago")).collect();
    assert_eq!(events.len(), 10, "the last ten: {status:?}");
    assert!(events[0].contains("Started") && events[1].contains("Pulled"), "the newest last: {events:?}");
}

#[tokio::test]
async fn documents_are_the_same_in_json_and_yaml() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    for command in [&["status", "tidy"][..], &["status"], &["cancel", "tidy"], &["artifacts", "list", "tidy"]] {
        let json = world.run(&[command, &["-o", "json"]].concat()).await;
        let yaml = world.run(&[command, &["-o", "yaml"]].concat()).await;
        let json: Value = serde_json::from_str(&json.out).unwrap();
        assert!(!json.to_string().contains("managedFields"), "{json}");
        if command[0] == "cancel" {
            continue;
        }
        let yaml: Value = serde_saphyr::from_str(&yaml.out).unwrap();
        assert_eq!(json, yaml, "{command:?}");
    }
}
