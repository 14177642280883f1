use std::convert::Infallible;

use futures::stream;

use super::*;
use crate::upload::PART;

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

    async fn put(&self, attempt: u32, text: &'static str) -> u64 {
        let bytes = stream::iter([Ok::<_, Infallible>(Bytes::from_static(text.as_bytes()))]);
        self.store.put_checkpoint(&self.run, attempt, 100, bytes).await.unwrap()
    }

    async fn before(&self, attempt: u32) -> Option<(u32, String)> {
        let checkpoint = self.store.checkpoint_before(&self.run, attempt).await.unwrap()?;
        let bytes: Vec<Bytes> = checkpoint.bytes.try_collect().await.unwrap();
        let text = String::from_utf8(bytes.concat()).unwrap();
        assert_eq!(checkpoint.size, text.len() as u64);
        Some((checkpoint.attempt, text))
    }

    /// The names of all files in the store's folder.
    fn files(&self) -> Vec<String> {
        let entries = walkdir::WalkDir::new(self.folder.path()).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().is_file());
        files.map(|entry| entry.file_name().to_str().unwrap().to_owned()).collect()
    }
}

fn made(attempt: u32, text: &str) -> Option<(u32, String)> {
    Some((attempt, text.to_owned()))
}

#[tokio::test]
async fn an_attempt_gets_what_the_latest_one_before_it_left() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.before(2).await, None);
    assert_eq!(fixture.put(1, "first").await, 5);
    fixture.put(1, "second").await;
    fixture.store = Store::directory(fixture.folder.path()).unwrap();
    assert_eq!(fixture.before(1).await, None, "its own is not an earlier one's");
    assert_eq!(fixture.before(2).await, made(1, "second"));
    assert_eq!(fixture.before(9).await, made(1, "second"), "also when those between made none");
    let other = Run::new("team", "other").unwrap();
    assert!(fixture.store.checkpoint_before(&other, 2).await.unwrap().is_none());
}

#[tokio::test]
async fn a_later_attempts_checkpoint_removes_the_earlier_ones() {
    let fixture = Fixture::new();
    fixture.put(9, "nine").await;
    fixture.put(10, "ten").await;
    assert_eq!(fixture.files(), ["0000000010"]);
    assert_eq!(fixture.before(11).await, made(10, "ten"));
}

#[tokio::test]
async fn an_attempt_that_was_thought_dead_changes_nothing_of_a_later_ones() {
    let fixture = Fixture::new();
    fixture.put(2, "later").await;
    fixture.put(1, "late").await;
    assert_eq!(fixture.before(3).await, made(2, "later"));
    assert_eq!(fixture.files(), ["0000000002"]);
}

#[tokio::test]
async fn a_checkpoint_that_does_not_come_whole_leaves_the_one_before() {
    let fixture = Fixture::new();
    fixture.put(1, "whole").await;
    let cut = stream::iter([Ok(Bytes::from_static(b"ha")), Err(std::io::Error::other("reset"))]);
    let put = fixture.store.put_checkpoint(&fixture.run, 1, 100, cut).await;
    assert!(matches!(put, Err(StoreError::Cut(_))));
    let large = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"12")), Ok(Bytes::from_static(b"34"))]);
    let put = fixture.store.put_checkpoint(&fixture.run, 2, 3, large).await;
    assert!(matches!(put, Err(StoreError::CheckpointTooLarge(3))));
    assert_eq!(fixture.before(3).await, made(1, "whole"));
    assert_eq!(fixture.files().len(), 1);
}

#[tokio::test]
async fn a_dropped_upload_leaves_the_one_before() {
    let fixture = Fixture::new();
    fixture.put(1, "whole").await;
    let endless = stream::once(async { Ok::<_, Infallible>(Bytes::from(vec![0; 2 * PART])) }).chain(stream::pending());
    let mut put = Box::pin(fixture.store.put_checkpoint(&fixture.run, 1, u64::MAX, endless));
    while fixture.files().len() < 2 {
        assert!(futures::poll!(&mut put).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.before(2).await, made(1, "whole"), "not before it has come");
    drop(put);
    while fixture.files().len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.before(2).await, made(1, "whole"));
}

#[tokio::test]
async fn uploads_leave_the_last_room_to_logs() {
    let mut fixture = Fixture::new();
    fixture.put(1, "before").await;
    fixture.store.disk = Some(crate::disk::Disk::for_logs_only(fixture.folder.path()).into());
    let bytes = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"more"))]);
    let error = fixture.store.put_checkpoint(&fixture.run, 1, 100, bytes).await.unwrap_err();
    assert!(matches!(error, StoreError::Full) && error.is_full());
    assert_eq!((fixture.before(2).await, fixture.files().len()), (made(1, "before"), 1));
    let line = r#"{"id":"1-1","time":"2026-01-01T00:00:00Z","type":"agent","text":"x"}"#;
    let chunk = crate::LogChunk::parse("1-1".parse().unwrap(), line.as_bytes()).unwrap();
    fixture.store.put_log_chunk(&fixture.run, chunk, 100).await.unwrap();
}
