use std::{convert::Infallible, path::Path as FsPath};

use futures::stream;
use proptest::prelude::{prop, prop_assert_eq, proptest};

use super::*;
use crate::upload::PART;

const BOUNDS: Bounds = Bounds { artifact_bytes: u64::MAX, run_bytes: u64::MAX, artifacts: 64 };

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
    run: Run,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::directory(folder.path()).unwrap();
        Self { folder, store, run: Run::new("team", "uid").unwrap() }
    }

    async fn put(
        &self,
        name: &str,
        parts: &[&'static [u8]],
        announced: Digest,
        max: u64,
    ) -> Result<Artifact, StoreError> {
        let parts: Vec<_> = parts.iter().map(|part| Ok::<_, Infallible>(Bytes::from_static(part))).collect();
        let bounds = Bounds { artifact_bytes: max, ..BOUNDS };
        self.store.put_artifact(&self.run, &name.parse().unwrap(), announced, bounds, stream::iter(parts)).await
    }

    async fn get(&self, name: &str) -> Option<(Artifact, Vec<u8>)> {
        let reader = self.store.artifact(&self.run, &name.parse().unwrap()).await.unwrap()?;
        let bytes: Vec<Bytes> = reader.bytes.try_collect().await.unwrap();
        Some((reader.artifact, bytes.concat()))
    }

    /// Every file in the store's folder.
    fn files(&self) -> Vec<std::path::PathBuf> {
        files(self.folder.path())
    }
}

fn files(folder: &FsPath) -> Vec<std::path::PathBuf> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// Waits until the folder holds no file. Cleaning up behind a dropped upload is not waited for by anybody.
async fn becomes_empty(fixture: &Fixture) {
    while !fixture.files().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_artifact_comes_back_as_it_was_also_after_a_restart() {
    let mut fixture = Fixture::new();
    let stored = fixture.put("out/report.txt", &[b"one ", b"two"], Digest::of(b"one two"), 7).await.unwrap();
    assert_eq!((stored.name.as_str(), stored.size), ("out/report.txt", 7));
    fixture.store = Store::directory(fixture.folder.path()).unwrap();
    assert_eq!(fixture.get("out/report.txt").await, Some((stored.clone(), b"one two".to_vec())));
    assert_eq!(fixture.store.list_artifacts(&fixture.run).await.unwrap(), [stored]);
    assert_eq!(fixture.get("out").await, None);
}

#[tokio::test]
async fn a_later_one_of_the_same_name_replaces_it_and_others_stay() {
    let fixture = Fixture::new();
    for text in [b"old".as_slice(), b"newer"] {
        fixture.put("a", &[text], Digest::of(text), 10).await.unwrap();
    }
    fixture.put("a/b", &[b""], Digest::of(b""), 0).await.unwrap();
    assert_eq!(fixture.get("a").await.unwrap().1, b"newer");
    assert_eq!(
        fixture.get("a/b").await.unwrap(),
        (fixture.store.list_artifacts(&fixture.run).await.unwrap()[1].clone(), vec![])
    );
    assert_eq!(fixture.store.list_artifacts(&Run::new("team", "other").unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn other_bytes_than_announced_leave_nothing() {
    let fixture = Fixture::new();
    let error = fixture.put("a", &[b"one"], Digest::of(b"two"), 10).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Mismatch { announced, actual } if announced == Digest::of(b"two") && actual == Digest::of(b"one"))
    );
    assert!(fixture.files().is_empty());
}

#[tokio::test]
async fn too_many_bytes_leave_nothing_and_the_old_file_stays() {
    let fixture = Fixture::new();
    let error = fixture.put("a", &[b"123", b"4"], Digest::of(b"1234"), 3).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge(3)));
    assert!(fixture.files().is_empty());
    fixture.put("a", &[b"123"], Digest::of(b"123"), 3).await.unwrap();
    fixture.put("a", &[b"1234"], Digest::of(b"1234"), 3).await.unwrap_err();
    assert_eq!(fixture.get("a").await.unwrap().1, b"123");
    assert_eq!(fixture.files().len(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_off_leaves_nothing() {
    let fixture = Fixture::new();
    let cut = stream::iter([Ok(Bytes::from_static(b"one")), Err(std::io::Error::other("reset"))]);
    let name = "a".parse().unwrap();
    let put = fixture.store.put_artifact(&fixture.run, &name, Digest::of(b"one"), BOUNDS, cut).await;
    assert!(matches!(put, Err(StoreError::Cut(_))));
    assert!(fixture.files().is_empty());
}

#[tokio::test]
async fn a_dropped_upload_leaves_nothing() {
    let fixture = Fixture::new();
    let endless = stream::once(async { Ok::<_, Infallible>(Bytes::from(vec![0; 2 * PART])) }).chain(stream::pending());
    let name = "a".parse().unwrap();
    let mut put = Box::pin(fixture.store.put_artifact(&fixture.run, &name, Digest::of(b""), BOUNDS, endless));
    while fixture.files().is_empty() {
        assert!(futures::poll!(&mut put).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.store.list_artifacts(&fixture.run).await.unwrap(), []);
    drop(put);
    becomes_empty(&fixture).await;
}

#[tokio::test]
async fn many_parts_come_back_in_order() {
    let fixture = Fixture::new();
    let content: Vec<u8> = (0..=u8::MAX).cycle().take(2 * PART + 12_345).collect();
    let parts: Vec<_> = content.chunks(70_001).map(|part| Ok::<_, Infallible>(Bytes::copy_from_slice(part))).collect();
    let name = "large".parse().unwrap();
    fixture.store.put_artifact(&fixture.run, &name, Digest::of(&content), BOUNDS, stream::iter(parts)).await.unwrap();
    assert!(fixture.get("large").await.unwrap().1 == content);
}

#[tokio::test]
async fn writers_of_one_name_never_mix() {
    let fixture = Fixture::new();
    let texts = [b"aaaa".as_slice(), b"bb", b"cccccc"];
    let puts =
        texts.map(|text| fixture.put("same", std::slice::from_ref(Box::leak(Box::new(text))), Digest::of(text), 10));
    for put in futures::future::join_all(puts).await {
        put.unwrap();
    }
    let (artifact, bytes) = fixture.get("same").await.unwrap();
    assert_eq!(artifact.sha256, Digest::of(&bytes).to_string());
    assert_eq!(fixture.files().len(), 1);
}

#[tokio::test]
async fn room_is_counted_without_the_file_that_is_replaced() {
    let fixture = Fixture::new();
    let put = async |name: &str, text: &'static [u8], bounds| {
        let bytes = stream::iter([Ok::<_, Infallible>(Bytes::from_static(text))]);
        fixture.store.put_artifact(&fixture.run, &name.parse().unwrap(), Digest::of(text), bounds, bytes).await
    };
    put("a", b"12345", BOUNDS).await.unwrap();
    put("b", b"12345", BOUNDS).await.unwrap();
    let two = Bounds { artifacts: 2, ..BOUNDS };
    assert!(matches!(put("c", b"", two).await, Err(StoreError::TooMany(2))));
    put("b", b"54321", two).await.unwrap();

    let kept = std::fs::metadata(&fixture.files()[0]).unwrap().len();
    let full = Bounds { run_bytes: kept + 5, ..BOUNDS };
    put("b", b"67890", full).await.unwrap();
    assert!(matches!(put("b", b"123456", full).await, Err(StoreError::RunFull(_))));
    assert!(matches!(put("c", b"1", full).await, Err(StoreError::RunFull(_))));
    assert_eq!(fixture.get("b").await.unwrap().1, b"67890");
}

#[tokio::test]
async fn uploads_at_once_share_the_room_of_their_run() {
    let fixture = Fixture::new();
    let names = ["a", "b", "c", "d"];
    let puts = names.map(async |name| {
        let bounds = Bounds { run_bytes: 4096, ..BOUNDS };
        let bytes = stream::iter([Ok::<_, Infallible>(Bytes::from_static(&[0; 3000]))]);
        let name = name.parse().unwrap();
        fixture.store.put_artifact(&fixture.run, &name, Digest::of(&[0; 3000]), bounds, bytes).await
    });
    let stored = futures::future::join_all(puts).await;
    assert_eq!(stored.iter().filter(|put| put.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_damaged_object_is_said_to_be_one() {
    let fixture = Fixture::new();
    fixture.put("a", &[b"x"], Digest::of(b"x"), 1).await.unwrap();
    std::fs::write(&fixture.files()[0], "no header").unwrap();
    assert!(matches!(fixture.store.artifact(&fixture.run, &"a".parse().unwrap()).await, Err(StoreError::Damaged(_))));
    assert!(matches!(fixture.store.list_artifacts(&fixture.run).await, Err(StoreError::Damaged(_))));
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
    #[test]
    fn any_name_is_stored_in_one_file_beneath_the_folder(text in prop::string::string_regex("[./a\\PC\\\\#%]{1,60}").unwrap()) {
        let Ok(name) = text.parse::<ArtifactName>() else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            fixture.put(name.as_str(), &[b"x"], Digest::of(b"x"), 1).await.unwrap();
            let files = fixture.files();
            prop_assert_eq!(files.len(), 1);
            prop_assert_eq!(files[0].parent().unwrap(), fixture.folder.path().join("team/uid/artifacts"));
            let found = fixture.get(name.as_str()).await.unwrap().0;
            prop_assert_eq!(found.name.as_str(), name.as_str());
            Ok(())
        })?;
    }
}
