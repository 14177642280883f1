//! Messages, and what comes back.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::{Result, World, finished, interrupt};

fn turn(message: &str, result: &str) -> Value {
    json!({ "message": message, "attempt": 1, "startedAt": "2026-03-01T12:00:00Z",
            "finishedAt": "2026-03-01T12:00:09Z", "result": result })
}

#[tokio::test]
async fn a_message_is_added_and_nothing_else_is_touched() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let first = world.run(&["message", "tidy", "Fix the tests"]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let id = first.out.strip_prefix("message ").and_then(|out| out.strip_suffix(" added to session.drover.dev/tidy\n"));
    let id = id.unwrap_or_else(|| panic!("{first:?}"));
    assert!(id.starts_with("fix-the-tests-"), "{id}");

    let second = world.run(&["message", "tidy", "More", "--id", "more", "-o", "json"]).await;
    let more = json!({ "id": "more", "text": "More", "by": "jane" });
    assert_eq!(serde_json::from_str::<Value>(&second.out).unwrap(), more, "{second:?}");
    let all = json!([{ "id": id, "text": "Fix the tests", "by": "jane" }, more]);
    assert_eq!(world.api.session("tidy").unwrap()["spec"]["messages"], all);
    let (query, operations) = world.api.patches().pop().unwrap();
    assert_eq!(query["fieldManager"], "kubectl-drover");
    let version = json!({ "op": "replace", "path": "/metadata/resourceVersion", "value": "2" });
    assert_eq!(operations[0], version, "an API server takes a change of another version for a conflict");
    let paths: Vec<&Value> = operations.as_array().unwrap().iter().map(|operation| &operation["path"]).collect();
    assert_eq!(paths, ["/metadata/resourceVersion", "/spec/messages/-"]);

    let again = world.run(&["message", "tidy", "More", "--id", "more"]).await;
    assert_eq!((again.code, again.out.as_str()), (Some(0), "message more is already in session.drover.dev/tidy\n"));
    let other = world.run(&["message", "tidy", "Other", "--id", "more"]).await;
    assert!(other.code == Some(1) && other.err.contains("choose another --id"), "{other:?}");
    assert_eq!(world.api.session("tidy").unwrap()["spec"]["messages"], all);
}

#[tokio::test]
async fn a_text_comes_from_a_file_or_from_standard_input() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    std::fs::write(world.dir.path().join("text"), "from\na file\n").unwrap();
    assert_eq!(world.run(&["message", "tidy", "--file", "text", "--id", "a"]).await.code, Some(0));
    let mut command = world.command(&["message", "tidy", "-", "--id", "b"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from elsewhere").await.unwrap();
    let told = Result::from(child.wait_with_output().await.unwrap());
    assert_eq!((told.code, told.out.as_str()), (Some(0), "message b added to session.drover.dev/tidy\n"), "{told:?}");
    let session = world.api.session("tidy").unwrap();
    let texts: Vec<&Value> = session["spec"]["messages"].as_array().unwrap().iter().map(|m| &m["text"]).collect();
    assert_eq!(texts, ["from\na file\n", "from elsewhere"]);
    let empty = world.run(&["message", "tidy", "-"]).await;
    let told = "error: the message is empty: say what the agent is to know or to do\n";
    assert_eq!((empty.code, empty.err.as_str()), (Some(1), told));
}

#[tokio::test]
async fn a_message_survives_conflicts() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    world.api.interfere(3);
    let told = world.run(&["message", "tidy", "Hello", "--id", "hello"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(world.api.patches().len(), 4);
    world.api.interfere(1000);
    let lost = world.run(&["message", "tidy", "Hello", "--id", "again"]).await;
    assert!(lost.code == Some(1) && lost.err.ends_with("others were always quicker: try again\n"), "{lost:?}");
}

#[tokio::test]
async fn messages_of_many_people_all_arrive() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let children: Vec<_> = (0..6).map(|_| world.spawn(&["message", "tidy", "same words"])).collect();
    for child in children {
        let result = Result::from(child.wait_with_output().await.unwrap());
        assert_eq!(result.code, Some(0), "{result:?}");
    }
    let session = world.api.session("tidy").unwrap();
    assert_eq!(session["spec"]["messages"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn an_answer_is_waited_for() {
    let world = World::new().await;
    world.add_session("tidy", "Waiting");
    let child = world.spawn(&["message", "tidy", "main", "--id", "answer", "--wait"]);
    world.api.until("tidy", |session| session["spec"]["messages"][0]["id"] == "answer").await;
    world.api.set_status("tidy", json!({ "phase": "Running", "pod": { "name": "p", "node": "n1" } }));
    let asked = json!({ "text": "And\nthen?", "message": "answer", "askedAt": "2026-03-01T12:00:09Z" });
    let turns = [turn("prompt", "no"), turn("answer", "Rebased.\nAll well.\u{1b}[2J\n")];
    world.api.set_status("tidy", json!({ "phase": "Waiting", "turns": turns, "question": asked }));
    let told = Result::from(child.wait_with_output().await.unwrap());
    assert_eq!((told.code, told.out.as_str()), (Some(0), "Rebased.\nAll well.\u{fffd}[2J\n"), "{told:?}");
    assert!(told.err.starts_with("message answer added to session.drover.dev/tidy\n"), "{told:?}");
    let question = "the agent asks: And then?\n  answer with: kubectl drover message tidy -n team 'TEXT'\n";
    assert!(told.err.ends_with(question), "{told:?}");

    let document = world.run(&["message", "tidy", "main", "--id", "answer", "--wait", "-o", "json"]).await;
    let document: Value = serde_json::from_str(&document.out).unwrap();
    assert_eq!((&document["turn"]["message"], &document["question"]["text"]), (&json!("answer"), &json!("And\nthen?")));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_told() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let child = world.spawn(&["message", "tidy", "main", "--id", "answer", "--wait"]);
    world.api.until("tidy", |session| session["spec"]["messages"][0]["id"] == "answer").await;
    world.api.set_status("tidy", finished("Failed", 3, &[]));
    let told = Result::from(child.wait_with_output().await.unwrap());
    assert_eq!((told.code, told.out.as_str()), (Some(3), ""), "{told:?}");
    let expected = "failed after 9s: The agent ended with 3.\nthe message was not dealt with\n";
    assert!(told.err.ends_with(expected), "{told:?}");

    let late = world.run(&["message", "tidy", "hello?"]).await;
    let expected = "error: Session tidy has ended (Failed) and takes no more messages: start another one with kubectl drover run\n";
    assert_eq!((late.code, late.err.as_str()), (Some(1), expected));
    let nobody = world.run(&["message", "absent", "hello?"]).await;
    assert!(nobody.code == Some(1) && nobody.err.contains("there is no Session \"absent\""), "{nobody:?}");
}

#[tokio::test]
async fn waiting_can_be_left() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let mut child = world.spawn(&["message", "tidy", "main", "--id", "answer", "--wait"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("message answer added"));
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "running");
    interrupt(&child);
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert_eq!(world.api.session("tidy").unwrap()["spec"]["messages"][0]["id"], "answer");
}

#[tokio::test]
async fn a_conversation_is_attended() {
    let world = World::new().await;
    let mut child = world.spawn(&["run", "tidy", "--prompt", "x", "--interactive"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut line = async || lines.next_line().await.unwrap().unwrap();
    assert_eq!(line().await, "session tidy created in namespace team");
    assert_eq!(line().await, "pending: waiting for the operator");
    assert_eq!(world.api.session("tidy").unwrap()["spec"]["interactive"], true);
    // The log of this world is empty, and ends at once: what follows is told beside it.
    let asked = json!({ "text": "Which branch?", "message": "prompt", "askedAt": "2026-03-01T12:00:09Z" });
    world.api.set_status("tidy", json!({ "phase": "Waiting", "question": asked }));
    assert_eq!(line().await, "waiting for an answer: Which branch?");
    assert_eq!(line().await, "  answer with: kubectl drover message tidy -n team 'TEXT'");
    world.api.set_status("tidy", json!({ "phase": "Suspended", "message": "Nobody said anything for 30m." }));
    assert_eq!(line().await, "suspended: Nobody said anything for 30m.");
    assert_eq!(line().await, "  go on with: kubectl drover message tidy -n team 'TEXT'");
    interrupt(&child);
    assert_eq!(line().await, "");
    assert_eq!(line().await, "detached; the Session goes on");
    assert_eq!(line().await, "  follow it:     kubectl drover logs -f tidy -n team");
    assert_eq!(line().await, "  speak with it: kubectl drover message tidy -n team 'TEXT' --wait");
    assert_eq!(line().await, "  stop it:       kubectl drover cancel tidy -n team");
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
}

#[tokio::test]
async fn a_log_goes_on_from_one_attempt_to_the_next() {
    let world = World::new().await;
    for (attempt, text) in [(1, "one"), (1, "two"), (2, "three"), (3, "four")] {
        world.gateway.log_in(attempt, "agent", Some("stdout"), text);
    }
    // The connection breaks within the first attempt, and after the second.
    world.gateway.cut([200, 260]);
    let followed = world.run(&["logs", "tidy", "-f"]).await;
    assert_eq!((followed.code, followed.out.as_str()), (Some(0), "one\ntwo\nthree\nfour\n"), "{followed:?}");
    assert!(world.gateway.resumed().len() == 3, "{:?}", world.gateway.resumed());
    assert_eq!(world.run(&["logs", "tidy"]).await.out, "one\ntwo\nthree\nfour\n");
    assert_eq!(world.run(&["logs", "tidy", "--after", "1-2"]).await.out, "three\nfour\n");
}
