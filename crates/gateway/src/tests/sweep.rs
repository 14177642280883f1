use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use axum::{body::Bytes, http::StatusCode};
use drover_api::log::EventId;
use drover_store::{LogChunk, Look, Run, Store};
use futures::{FutureExt, stream};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::fake::{ARTIFACTS, Fixture, SESSION};
use crate::{
    metrics::Metrics,
    sweep::{SweepError, Sweeper, Swept},
};

const ALL: &str = "LIST /apis/drover.dev/v1alpha1/sessions";
const OF_TEAM: &str = "LIST /apis/drover.dev/v1alpha1/namespaces/team/sessions";

fn path(name: &str) -> String {
    SESSION.replace("hello", name)
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// A Session whose uid is its name with `uid-` before it.
fn session(name: &str) -> Value {
    json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "Session",
        "metadata": {"name": name, "namespace": "team", "uid": format!("uid-{name}"), "generation": 1},
        "spec": {"prompt": "x", "framework": "shell"}, "status": {"phase": "Running"},
    })
}

/// One that finished so many seconds ago and is kept for an hour.
fn finished(name: &str, seconds: i64) -> Value {
    let mut session = session(name);
    session["spec"]["ttlAfterFinished"] = json!("1h");
    let at = now() - SignedDuration::from_secs(seconds);
    session["status"] = json!({"phase": "Succeeded", "finishedAt": at.to_string()});
    session
}

impl Fixture {
    fn sweeper(&self) -> Sweeper {
        let metrics = Metrics::register(&mut Registry::default(), self.reviews());
        Sweeper::new(self.cluster.client(), self.store.clone(), self.folder.path().to_owned(), metrics.sweeps)
    }

    /// Stores something for the Session with this uid.
    async fn store_for(&self, uid: &str) {
        let text = "x".repeat(32);
        let line = format!(r#"{{"id":"1-1","time":"2026-01-01T00:00:00Z","type":"agent","text":"{text}"}}"#);
        let chunk = LogChunk::parse("1-1".parse().unwrap(), line.as_bytes()).unwrap();
        assert_eq!(self.store.put_log_chunk(&Run::new("team", uid).unwrap(), chunk, 100).await.unwrap(), 100);
    }

    /// Stores what the next attempt of the Session with this uid would go on from.
    async fn checkpoint_for(&self, uid: &str) {
        let bytes = stream::iter([Ok::<_, Infallible>(Bytes::from_static(&[0; 70]))]);
        self.store.put_checkpoint(&Run::new("team", uid).unwrap(), 1, 70, bytes).await.unwrap();
    }

    /// Whether the next attempt of the Session with this uid could go on.
    async fn can_go_on(&self, uid: &str) -> bool {
        self.store.checkpoint_before(&Run::new("team", uid).unwrap(), 2).await.unwrap().is_some()
    }

    /// The uids of which something is stored.
    async fn stored(&self) -> Vec<String> {
        let mut uids: Vec<_> = self.store.runs().await.unwrap().iter().map(|run| run.uid().to_owned()).collect();
        uids.sort_unstable();
        uids
    }

    async fn sweep(&self) -> Swept {
        self.sweeper().pass(now()).await.unwrap()
    }
}

#[tokio::test]
async fn what_no_session_keeps_goes_and_what_one_keeps_stays() {
    let fixture = Fixture::new();
    for (name, seconds) in [("expired", 3601), ("fresh", 3599)] {
        fixture.cluster.put(&path(name), finished(name, seconds));
    }
    fixture.cluster.put(&path("runs"), session("runs"));
    let mut endless = finished("endless", 1 << 30);
    endless["spec"].as_object_mut().unwrap().remove("ttlAfterFinished");
    fixture.cluster.put(&path("endless"), endless);
    let mut resumed = finished("odd", 1 << 30);
    resumed["status"]["phase"] = json!("Running");
    fixture.cluster.put(&path("odd"), resumed);
    for uid in ["uid-gone", "uid-expired", "uid-fresh", "uid-runs", "uid-endless", "uid-odd"] {
        fixture.store_for(uid).await;
    }
    assert_eq!(fixture.sweep().await, Swept { runs: 2, bytes: 200, more: false });
    assert_eq!(fixture.stored().await, ["uid-endless", "uid-fresh", "uid-odd", "uid-runs"]);
    assert_eq!(fixture.sweep().await, Swept::default(), "again");
}

#[tokio::test]
async fn a_finished_session_keeps_its_log_and_no_checkpoint() {
    let fixture = Fixture::new();
    fixture.cluster.put(&path("done"), finished("done", 60));
    for phase in ["Pending", "Running", "Waiting", "Suspended"] {
        let mut live = session(&phase.to_lowercase());
        live["status"] = json!({"phase": phase});
        fixture.cluster.put(&path(&phase.to_lowercase()), live);
    }
    let mut unseen = session("unseen");
    unseen.as_object_mut().unwrap().remove("status");
    fixture.cluster.put(&path("unseen"), unseen);
    let live = ["uid-pending", "uid-running", "uid-waiting", "uid-suspended", "uid-unseen"];
    for uid in live.into_iter().chain(["uid-done"]) {
        fixture.store_for(uid).await;
        fixture.checkpoint_for(uid).await;
    }
    assert_eq!(fixture.sweep().await, Swept { runs: 1, bytes: 70, more: false });
    assert!(!fixture.can_go_on("uid-done").await);
    for uid in live {
        assert!(fixture.can_go_on(uid).await, "{uid}");
    }
    assert_eq!(fixture.stored().await.len(), 6, "logs stay");
    assert_eq!(fixture.sweep().await, Swept::default(), "again");
}

#[tokio::test]
async fn an_empty_store_asks_nobody() {
    let fixture = Fixture::new();
    assert_eq!(fixture.sweep().await, Swept::default());
    assert_eq!(fixture.cluster.asked(), [""; 0]);
}

#[tokio::test]
async fn sessions_on_later_pages_are_found() {
    let fixture = Fixture::new();
    for n in 0..7 {
        fixture.cluster.put(&path(&format!("s{n}")), session(&format!("s{n}")));
        fixture.store_for(&format!("uid-s{n}")).await;
    }
    fixture.store_for("uid-gone").await;
    let swept = fixture.sweeper().bounded(10, 2).pass(now()).await.unwrap();
    assert_eq!(swept.runs, 1);
    assert_eq!(fixture.stored().await.len(), 7);
    assert_eq!(fixture.cluster.times(ALL), 4, "eight Sessions, two a page");
    assert_eq!(fixture.cluster.times(OF_TEAM), 4, "and the namespace once more");
}

#[tokio::test]
async fn a_pass_that_cannot_ask_removes_nothing() {
    let fixture = Fixture::new();
    fixture.store_for("uid-gone").await;
    fixture.cluster.break_down();
    assert!(matches!(fixture.sweeper().pass(now()).await, Err(SweepError::Kubernetes(_))));
    assert_eq!(fixture.stored().await, ["uid-gone"]);
}

#[tokio::test]
async fn a_pass_that_cannot_ask_a_second_time_removes_nothing() {
    for expired in [false, true] {
        let fixture = Fixture::new();
        fixture.store_for("uid-a").await;
        if expired {
            fixture.cluster.put(&path("a"), finished("a", 1 << 30));
        }
        let cluster = fixture.cluster.clone();
        fixture.cluster.after_list(move || cluster.break_down());
        assert!(matches!(fixture.sweeper().pass(now()).await, Err(SweepError::Kubernetes(_))));
        assert_eq!(fixture.stored().await, ["uid-a"], "expired: {expired}");
    }
}

#[tokio::test]
async fn only_what_two_looks_agree_on_is_removed() {
    let fixture = Fixture::new();
    fixture.cluster.put(&path("b"), finished("b", 3601));
    for uid in ["uid-a", "uid-b"] {
        fixture.store_for(uid).await;
    }
    let cluster = fixture.cluster.clone();
    fixture.cluster.after_list(move || {
        cluster.put(&path("a"), session("a"));
        cluster.put(&path("b"), finished("b", 0));
    });
    assert_eq!(fixture.sweep().await, Swept::default());
    assert_eq!(fixture.stored().await, ["uid-a", "uid-b"]);
}

#[tokio::test]
async fn a_session_that_is_made_again_under_its_name_keeps_only_its_own() {
    let fixture = Fixture::new();
    let mut again = finished("a", 1 << 30);
    again["metadata"]["uid"] = json!("uid-new");
    fixture.cluster.put(&path("a"), session("a"));
    for uid in ["uid-a", "uid-new"] {
        fixture.store_for(uid).await;
    }
    let mut young = again.clone();
    young["status"] = json!({"phase": "Running"});
    fixture.cluster.put(&path("a"), young);
    assert_eq!(fixture.sweep().await.runs, 1);
    assert_eq!(fixture.stored().await, ["uid-new"]);
}

#[tokio::test]
async fn a_session_that_cannot_be_read_keeps_its_bytes() {
    let fixture = Fixture::new();
    let mut newer = finished("a", 1 << 30);
    newer["status"]["phase"] = json!("Levitating");
    fixture.cluster.put(&path("a"), newer);
    fixture.store_for("uid-a").await;
    assert_eq!(fixture.sweep().await, Swept::default());
    assert_eq!(fixture.stored().await, ["uid-a"]);
}

#[tokio::test]
async fn a_pass_is_bounded_and_says_that_there_is_more() {
    let fixture = Fixture::new();
    for n in 0..3 {
        fixture.store_for(&format!("uid-gone{n}")).await;
        fixture.cluster.put(&path(&format!("s{n}")), finished(&format!("s{n}"), 3601));
        fixture.store_for(&format!("uid-s{n}")).await;
    }
    let mut left = Vec::new();
    loop {
        let swept = fixture.sweeper().bounded(2, 50).pass(now()).await.unwrap();
        left.push(fixture.stored().await.len());
        if !swept.more {
            break;
        }
    }
    assert_eq!(left, [4, 2, 0]);
}

#[tokio::test]
async fn a_run_that_cannot_be_removed_does_not_hold_up_others() {
    let fixture = Fixture::new();
    for uid in ["uid-a", "uid-b", "uid-c"] {
        fixture.store_for(uid).await;
    }
    // A link to itself can be looked at by nobody, not even by root.
    let held = fixture.folder.path().join("team/uid-b/logs/0000000001/loop");
    std::os::unix::fs::symlink("loop", &held).unwrap();
    assert_eq!(fixture.sweep().await.runs, 2);
    assert_eq!(fixture.stored().await, ["uid-b"]);
    std::fs::remove_file(&held).unwrap();
    fixture.sweep().await;
    let run = Run::new("team", "uid-b").unwrap();
    let left = fixture.store.events_after(&run, EventId::START, 1, Look::Thorough).await.unwrap();
    assert_eq!(left.events, []);
}

#[tokio::test(start_paused = true)]
async fn the_sweep_begins_soon_after_the_start_and_comes_again() {
    let fixture = Fixture::new();
    let upload = fixture.folder.path().join("team/uid-live/logs/0000000001/00000000000000000002#1");
    fixture.cluster.put(&path("live"), session("live"));
    fixture.store_for("uid-live").await;
    let (old, young) = (upload.clone(), upload.with_file_name("00000000000000000003#1"));
    for file in [&old, &young] {
        std::fs::write(file, "half").unwrap();
    }
    let day = SystemTime::now() - Duration::from_secs(24 * 3600);
    std::fs::File::open(&old).unwrap().set_modified(day).unwrap();
    fixture.store_for("uid-gone").await;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry, fixture.reviews());
    let folder = fixture.folder.path().to_owned();
    let sweeper = Sweeper::new(fixture.cluster.client(), fixture.store.clone(), folder, metrics.sweeps);
    let stop = CancellationToken::new();
    let mut keep = Box::pin(sweeper.keep(Duration::from_secs(600), &stop));
    let mut passes = async |seconds: u64, times: usize| {
        let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
        while tokio::time::Instant::now() < until {
            assert!(keep.as_mut().now_or_never().is_none());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert_eq!(fixture.cluster.times(ALL), times, "after {seconds} more seconds");
    };
    passes(30, 1).await;
    assert_eq!(fixture.stored().await, ["uid-live"]);
    assert_eq!((old.exists(), young.exists()), (false, true));
    fixture.store_for("uid-late").await;
    passes(560, 1).await;
    passes(60, 2).await;
    assert_eq!(fixture.stored().await, ["uid-live"]);
    stop.cancel();
    keep.await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for expected in [
        r#"drover_gateway_sweep_passes_total{result="ok"} 2"#,
        r#"drover_gateway_sweep_runs_total{reason="gone"} 2"#,
        "drover_gateway_sweep_freed_bytes_total 200",
        "drover_gateway_sweep_uploads_total 1",
    ] {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }
}

#[tokio::test]
async fn what_a_gateway_that_was_down_left_is_found_by_the_next() {
    let fixture = Fixture::new();
    fixture.cluster.put(&path("a"), session("a"));
    fixture.store_for("uid-a").await;
    fixture.cluster.remove(&path("a"));
    let store = Store::directory(fixture.folder.path()).unwrap();
    let metrics = Metrics::register(&mut Registry::default(), fixture.reviews());
    let next = Sweeper::new(fixture.cluster.client(), store, fixture.folder.path().to_owned(), metrics.sweeps);
    assert_eq!(next.pass(now()).await.unwrap().runs, 1);
    assert_eq!(fixture.stored().await, [""; 0]);
}

#[tokio::test]
async fn who_asks_for_what_was_swept_learns_why_it_is_gone() {
    let fixture = Fixture::new();
    fixture.artifact("a", b"x").await;
    fixture.cluster.set(SESSION, "/spec/ttlAfterFinished", "1h".into());
    let status = json!({"phase": "Succeeded", "finishedAt": "2026-01-01T00:00:00Z"});
    fixture.cluster.set(SESSION, "/status", status);
    fixture.sweeper().pass(Timestamp::now()).await.unwrap();
    let answer = fixture.get(&format!("{ARTIFACTS}/a"), "ada").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(
        answer.detail(),
        "the Session hello has no artifact a any more: its artifacts are kept for 1h after its end, as \
         spec.ttlAfterFinished says"
    );
}
