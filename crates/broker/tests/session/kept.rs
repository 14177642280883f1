//! What survives the pod: checkpoints, claims, and what becomes of checkpoints that are no good.

use std::{fs, os::unix::fs::symlink};

use drover_api::{runner::TurnEnd, state::Reason};
use drover_broker::KeptBy;
use reqwest::StatusCode;

use crate::{
    gateway::{Gateway, Step},
    pod::{MOST, Pod},
};

/// A pod that dealt with the prompt, and has its checkpoint stored; `a` is still to come.
async fn after_a_turn(gateway: &Gateway) -> Pod {
    let pod = Pod::new();
    let broker = pod.broker(gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    pod.write("workspace/made", "by the prompt");
    pod.write("home/.memory", "of the prompt");
    let end = TurnEnd { resume_id: Some("id-7".to_owned()), ..TurnEnd::default() };
    assert_eq!(broker.end_with("prompt", &end).await, StatusCode::NO_CONTENT);
    broker.kill().await;
    pod
}

/// The next attempt's gateway, which has what the one before stored.
async fn later(before: &Gateway, messages: &[&str]) -> Gateway {
    let gateway = Gateway::with(messages, false).await;
    let earlier = before.held.borrow().checkpoint.clone();
    gateway.change(|held| held.earlier = earlier);
    gateway
}

#[tokio::test]
async fn a_new_pod_goes_on_where_the_last_turn_ended() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let pod = after_a_turn(&gateway).await;
    // The status does not know of the turn yet: the checkpoint does.
    let gateway = later(&gateway, &["prompt", "a"]).await;
    let pod = pod.next_attempt();
    let broker = pod.broker(&gateway).await;
    let turn = broker.next().await.unwrap();
    assert_eq!((turn.message.id.as_str(), turn.resume_id.as_deref()), ("a", Some("id-7")));
    assert!(!turn.interrupted);
    assert_eq!(pod.read("workspace/made").as_deref(), Some("by the prompt"));
    assert_eq!(pod.read("home/.memory").as_deref(), Some("of the prompt"));

    // What the agent does from now on is its own: a restart puts nothing back over it.
    pod.write("workspace/made", "by a");
    broker.kill().await;
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "a");
    assert_eq!(pod.read("workspace/made").as_deref(), Some("by a"));
    broker.end("a").await;
    let report = broker.finish().await;
    let turns: Vec<_> = report.turns.iter().map(|turn| (turn.message.as_str(), turn.attempt)).collect();
    assert_eq!(turns, [("prompt", 1), ("a", 2)]);
}

#[tokio::test]
async fn a_restore_that_is_killed_is_done_again() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let pod = after_a_turn(&gateway).await.next_attempt();
    let gateway = later(&gateway, &["prompt", "a"]).await;
    gateway.change(|held| held.stop_at = Some(Step::Before("GET conversation")));
    let broker = pod.broker(&gateway).await;
    let waits = broker.ask_next();
    gateway.until(|held| held.stopped > 0).await;
    broker.kill().await;
    waits.abort();
    gateway.change(|held| held.stop_at = None);
    assert_eq!(pod.broker(&gateway).await.next_id().await, "a");
    assert_eq!(pod.read("workspace/made").as_deref(), Some("by the prompt"));
}

#[tokio::test]
async fn a_download_that_is_cut_off_is_begun_again() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let pod = after_a_turn(&gateway).await.next_attempt();
    let gateway = later(&gateway, &["prompt", "a"]).await;
    gateway.change(|held| held.cut_downloads = 2);
    assert_eq!(pod.broker(&gateway).await.next_id().await, "a");
    assert_eq!(pod.read("home/.memory").as_deref(), Some("of the prompt"));
}

#[tokio::test]
async fn without_a_checkpoint_an_attempt_begins_from_the_start() {
    let gateway = Gateway::with(&["prompt"], false).await;
    let pod = Pod { previous_interrupted: true, ..Pod::new().next_attempt() };
    let broker = pod.broker(&gateway).await;
    let turn = broker.next().await.unwrap();
    assert_eq!((turn.message.id.as_str(), turn.interrupted), ("prompt", true));
}

#[tokio::test]
async fn only_the_first_turn_of_an_attempt_was_interrupted() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let pod = Pod { previous_interrupted: true, ..Pod::new().next_attempt() };
    let broker = pod.broker(&gateway).await;
    assert!(broker.next().await.unwrap().interrupted);
    broker.kill().await;
    let broker = pod.broker(&gateway).await;
    assert!(broker.next().await.unwrap().interrupted, "a restart does not change it");
    broker.end("prompt").await;
    assert!(!broker.next().await.unwrap().interrupted);
}

#[tokio::test]
async fn on_a_claim_all_is_simply_there() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let pod = Pod { kept_by: KeptBy::Claim, ..Pod::new() };
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    broker.end("prompt").await;
    assert_eq!(broker.next_id().await, "a");
    broker.kill().await;
    let pod = pod.on_same_claim();
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let broker = pod.broker(&gateway).await;
    let turn = broker.next().await.unwrap();
    assert_eq!((turn.message.id.as_str(), turn.interrupted), ("a", true));
    broker.end("a").await;
    broker.finish().await;
    let done = gateway.held.borrow().done.clone();
    assert!(done.iter().all(|request| !request.contains("checkpoint")), "{done:?}");
}

#[tokio::test]
async fn a_full_store_is_asked_once_a_turn() {
    let gateway = Gateway::with(&["prompt", "a", "b"], false).await;
    gateway.change(|held| held.full = true);
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    for (tries, id) in [(1, "prompt"), (2, "a")] {
        assert_eq!(broker.next_id().await, id);
        broker.end(id).await;
        let held = gateway.held.borrow();
        let said = "nothing since the last checkpoint: the gateway answered 507 Insufficient Storage";
        assert_eq!((held.refused, held.reports[tries - 1].not_kept.as_deref()), (tries, Some(said)));
    }
}

#[tokio::test]
async fn what_does_not_fit_is_left_out_and_named() {
    let gateway = Gateway::with(&["prompt", "a"], false).await;
    let pod = Pod { kept_by: KeptBy::Checkpoint { most: 64 * 1024 }, ..Pod::new() };
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    pod.write("workspace/big.bin", vec![1; 100_000]);
    pod.write("home/small", "kept");
    broker.end("prompt").await;
    let checkpoint = {
        let held = gateway.held.borrow();
        let said = "no room (a checkpoint holds 65536 bytes): workspace/big.bin";
        assert_eq!(held.reports[0].not_kept.as_deref(), Some(said));
        held.checkpoint.clone().unwrap()
    };
    assert!(checkpoint.len() <= 64 * 1024);
    // The next one holds all again, and the report says so.
    fs::remove_file(pod.path("workspace/big.bin")).unwrap();
    gateway.say(&["prompt", "a", "b"]);
    assert_eq!(broker.next_id().await, "a");
    broker.end("a").await;
    assert_eq!(gateway.held.borrow().reports[1].not_kept, None);
    let later = later(&gateway, &["prompt", "a", "b"]).await;
    let pod = pod.next_attempt();
    assert_eq!(pod.broker(&later).await.next_id().await, "b");
    assert_eq!(pod.read("home/small").as_deref(), Some("kept"));
}

#[tokio::test]
async fn a_checkpoint_that_is_cut_off_is_not_taken() {
    let gateway = Gateway::with(&["prompt", "a", "b"], false).await;
    let pod = Pod::new();
    let broker = pod.broker(&gateway).await;
    assert_eq!(broker.next_id().await, "prompt");
    broker.end("prompt").await;
    let whole = gateway.held.borrow().checkpoint.clone().unwrap();
    assert_eq!(broker.next_id().await, "a");
    pod.write("workspace/long", vec![1; MOST as usize / 2]);
    gateway.change(|held| held.stop_at = Some(Step::InCheckpoint));
    broker.begin_end("a");
    gateway.until(|held| held.stopped > 0).await;
    broker.kill().await;
    gateway.change(|held| held.stop_at = None);
    assert_eq!(gateway.held.borrow().checkpoint.as_ref(), Some(&whole));
}

#[tokio::test]
async fn a_restore_that_cannot_work_ends_the_agent() {
    let hostile = |path: &str, link: Option<&str>| {
        let mut tar = tar::Builder::new(Vec::new());
        let mut put = |path: &str, link: Option<&str>, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            if let Some(link) = link {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(link).unwrap();
            }
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, content).unwrap();
        };
        put("state.json", None, b"{}");
        if let Some(link) = link {
            put("workspace/link", Some(link), b"");
        }
        put(path, None, b"evil");
        tar.into_inner().unwrap()
    };
    let whole = hostile("workspace/fine", None);
    for (archive, said) in [
        (hostile("workspace/../evil", None), "it holds workspace/../evil, which no checkpoint of Drover does"),
        (hostile("/evil", None), "it holds /evil, which"),
        (hostile("state/evil", None), "it holds state/evil, which"),
        (hostile("workspace/link/evil", Some("..")), "it holds workspace/link/evil, which"),
        (whole[..whole.len() - 1024].to_vec(), "it ends in the middle"),
        (b"no archive".repeat(100), "it cannot be read as an archive"),
    ] {
        let gateway = Gateway::with(&["prompt"], false).await;
        gateway.change(|held| held.earlier = Some(archive.into()));
        let pod = Pod::new().next_attempt();
        symlink(pod.path("home"), pod.path("run/link")).unwrap();
        let broker = pod.broker(&gateway).await;
        let asked = broker.ask_next();
        let termination = broker.stop().await;
        assert_eq!(termination.reason, Reason::RestoreFailed);
        assert!(termination.message.contains(said), "{}", termination.message);
        assert_eq!(pod.termination(), Some(termination));
        assert_ne!(asked.await.unwrap().status(), StatusCode::OK, "the agent gets no message");
        assert!(pod.read("evil").is_none() && pod.read("state/evil").is_none());
        broker.terminate().await;
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_believed_ends_the_agent() {
    for (state, said) in [("{", "is not valid"), (r#"{"attempt":3}"#, "was written by attempt 3")] {
        let gateway = Gateway::with(&["prompt"], false).await;
        let pod = Pod { kept_by: KeptBy::Claim, ..Pod::new().next_attempt() };
        pod.write("state/state.json", state);
        let termination = pod.broker(&gateway).await.stop().await;
        assert_eq!(termination.reason, Reason::RestoreFailed);
        assert!(termination.message.contains(said), "{}", termination.message);
    }
}
