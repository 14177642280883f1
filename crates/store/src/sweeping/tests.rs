use std::{convert::Infallible, path::Path as FsPath};

use bytes::Bytes;
use futures::stream;

use super::*;
use crate::{Look, chunk::LogChunk};

fn names(runs: Vec<Run>) -> Vec<String> {
    let mut names: Vec<String> = runs.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

async fn fill(store: &Store, run: &Run) {
    let event = r#"{"id":"1-1","time":"2026-01-01T00:00:00Z","type":"agent","text":"x"}"#;
    let chunk = LogChunk::parse("1-1".parse().unwrap(), event.as_bytes()).unwrap();
    store.put_log_chunk(run, chunk, u64::MAX).await.unwrap();
    store.end_log(run, 1).await.unwrap();
    let bytes = stream::iter([Ok::<_, Infallible>(Bytes::from_static(&[0; 500]))]);
    store.put_checkpoint(run, 1, 500, bytes).await.unwrap();
}

fn entries(folder: &FsPath) -> usize {
    walkdir::WalkDir::new(folder).min_depth(1).into_iter().count()
}

#[tokio::test]
async fn a_run_is_removed_with_all_it_stored_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::directory(folder.path()).unwrap();
    let runs = [("team", "a"), ("team", "b"), ("other", "a")].map(|(ns, uid)| Run::new(ns, uid).unwrap());
    for run in &runs {
        fill(&store, run).await;
    }
    std::fs::create_dir(folder.path().join("lost+found")).unwrap();
    assert_eq!(names(store.runs().await.unwrap()), ["other/a", "team/a", "team/b"]);
    assert!(store.remove_run(&runs[0]).await.unwrap() > 500);
    assert_eq!(store.remove_run(&runs[0]).await.unwrap(), 0, "again");
    assert_eq!(names(store.runs().await.unwrap()), ["other/a", "team/b"]);
    let page = store.events_after(&runs[1], "0-0".parse().unwrap(), 1, Look::Thorough).await.unwrap();
    assert_eq!(page.events.len(), 1);
    store.remove_run(&runs[2]).await.unwrap();
    assert!(!folder.path().join("other").exists(), "the folder of the namespace goes with the last run");
}

#[tokio::test]
async fn who_writes_to_a_removed_run_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::directory(folder.path()).unwrap();
    let run = Run::new("team", "a").unwrap();
    fill(&store, &run).await;
    store.remove_run(&run).await.unwrap();
    assert_eq!(entries(folder.path()), 0);
    fill(&store, &run).await;
    assert_eq!(names(store.runs().await.unwrap()), ["team/a"]);
}

#[tokio::test]
async fn an_upload_that_is_under_way_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::directory(folder.path()).unwrap();
    let run = Run::new("team", "a").unwrap();
    fill(&store, &run).await;
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let bytes = stream::once(async move {
        wait.await.unwrap();
        Ok::<_, Infallible>(Bytes::from_static(b"late"))
    });
    let mut put = Box::pin(store.put_checkpoint(&run, 2, 10, bytes));
    while !folder.path().join("team/a/checkpoints/0000000002#1").exists() {
        assert!(futures::poll!(&mut put).is_pending());
        tokio::task::yield_now().await;
    }
    store.remove_run(&run).await.unwrap();
    go.send(()).unwrap();
    assert_eq!(put.await.unwrap(), 4);
    assert!(store.checkpoint_before(&run, 3).await.unwrap().is_some());
}
