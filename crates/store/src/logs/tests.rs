use super::*;

const LIMIT: u64 = 1 << 20;

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
    run: Run,
}

fn event(attempt: u32, sequence: u64) -> Event {
    Event {
        id: EventId { attempt, sequence },
        time: "2026-01-01T00:00:00.000Z".to_owned(),
        kind: drover_api::log::Kind::Agent,
        stream: None,
        text: format!("line {attempt}-{sequence}"),
        partial: false,
    }
}

fn chunk(attempt: u32, sequences: std::ops::RangeInclusive<u64>) -> LogChunk {
    LogChunk {
        first: EventId { attempt, sequence: *sequences.start() },
        events: sequences.map(|sequence| event(attempt, sequence)).collect(),
    }
}

fn id(text: &str) -> EventId {
    text.parse().unwrap()
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::directory(folder.path()).unwrap();
        Self { folder, store, run: Run::new("team", "uid").unwrap() }
    }

    /// The same folder in another process.
    fn restart(&mut self) {
        self.store = Store::directory(self.folder.path()).unwrap();
    }

    async fn put(&self, attempt: u32, sequences: std::ops::RangeInclusive<u64>) -> Result<u64, StoreError> {
        self.store.put_log_chunk(&self.run, chunk(attempt, sequences), LIMIT).await
    }

    async fn read(&self, after: &str, look: Look) -> (Vec<String>, Option<u32>) {
        let page = self.store.events_after(&self.run, id(after), usize::MAX, look).await.unwrap();
        assert!(!page.more);
        let ids: Vec<String> = page.events.iter().map(|event| event.id.to_string()).collect();
        assert_eq!(page.next.to_string(), ids.last().cloned().unwrap_or_else(|| page.next.to_string()));
        (ids, page.ended)
    }
}

#[tokio::test]
async fn events_come_back_in_order_across_chunks_and_attempts() {
    let fixture = Fixture::new();
    assert_eq!(fixture.read("0-0", Look::Thorough).await, (vec![], None));
    for (attempt, sequences) in [(1, 1..=2), (1, 3..=11), (1, 12..=12), (2, 1..=1)] {
        fixture.put(attempt, sequences).await.unwrap();
    }
    let mut all: Vec<String> = (1..=12).map(|n| format!("1-{n}")).collect();
    all.push("2-1".to_owned());
    assert_eq!(fixture.read("0-0", Look::Thorough).await, (all.clone(), None));
    for (index, after) in all.iter().enumerate() {
        assert_eq!(fixture.read(after, Look::Thorough).await.0, all[index + 1..], "after {after}");
    }
    assert_eq!(fixture.read("1-2", Look::Next).await.0, all[2..12], "the next attempt is not looked at");
    assert_eq!(fixture.read("3-9", Look::Thorough).await.0, [""; 0]);
    assert_eq!(fixture.read(&format!("1-{}", u64::MAX), Look::Next).await.0, [""; 0]);
}

#[tokio::test]
async fn the_end_of_an_attempt_is_told_once_all_was_read() {
    let fixture = Fixture::new();
    fixture.put(1, 1..=2).await.unwrap();
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    for look in [Look::Next, Look::Thorough] {
        assert_eq!(fixture.read("1-0", look).await, (vec!["1-1".to_owned(), "1-2".to_owned()], Some(1)));
        assert_eq!(fixture.read("1-2", look).await, (vec![], Some(1)));
    }
    fixture.put(2, 1..=1).await.unwrap();
    assert_eq!(fixture.read("0-0", Look::Thorough).await.1, None, "the second attempt goes on");
    assert_eq!(fixture.read("1-2", Look::Next).await.1, Some(1));
}

#[tokio::test]
async fn a_repeated_chunk_is_stored_once_also_after_a_restart() {
    let mut fixture = Fixture::new();
    assert!(fixture.put(1, 1..=3).await.unwrap() > 0);
    assert_eq!(fixture.put(1, 1..=3).await.unwrap(), 0);
    fixture.restart();
    assert_eq!(fixture.put(1, 1..=3).await.unwrap(), 0);
    assert_eq!(fixture.put(1, 1..=2).await.unwrap(), 0, "a part of it");
    assert!(fixture.put(1, 1..=5).await.unwrap() > 0, "the same with more behind it");
    assert!(fixture.put(1, 4..=6).await.unwrap() > 0);
    let expected: Vec<String> = (1..=6).map(|n| format!("1-{n}")).collect();
    assert_eq!(fixture.read("0-0", Look::Thorough).await.0, expected);
}

#[tokio::test]
async fn a_gap_and_other_events_in_the_same_place_are_refused_with_the_next_number() {
    let fixture = Fixture::new();
    assert!(matches!(fixture.put(1, 2..=2).await, Err(StoreError::NotNext(1))));
    fixture.put(1, 1..=2).await.unwrap();
    assert!(matches!(fixture.put(1, 4..=4).await, Err(StoreError::NotNext(3))));
    assert!(matches!(fixture.put(1, 2..=3).await, Err(StoreError::NotNext(3))), "begins inside a chunk");
    let mut other = chunk(1, 1..=2);
    other.events[0].text = "something else".to_owned();
    let refused = fixture.store.put_log_chunk(&fixture.run, other, LIMIT).await;
    assert!(matches!(refused, Err(StoreError::NotNext(3))));
    fixture.put(1, 3..=3).await.unwrap();
}

#[tokio::test]
async fn a_full_log_takes_no_more_and_keeps_its_place() {
    let mut fixture = Fixture::new();
    let bytes = fixture.put(1, 1..=2).await.unwrap();
    let full = async |fixture: &Fixture, limit| fixture.store.put_log_chunk(&fixture.run, chunk(1, 3..=4), limit).await;
    assert!(matches!(full(&fixture, bytes + 1).await, Err(StoreError::LogFull(_))));
    fixture.restart();
    assert!(matches!(full(&fixture, bytes + 1).await, Err(StoreError::LogFull(_))));
    assert_eq!(full(&fixture, 2 * bytes).await.unwrap(), bytes);
    assert!(
        fixture.store.put_log_chunk(&fixture.run, chunk(2, 1..=1), bytes).await.is_ok(),
        "each attempt has its own"
    );
}

#[tokio::test]
async fn a_page_ends_with_the_chunk_that_reaches_the_limit() {
    let fixture = Fixture::new();
    for n in 1..=3 {
        fixture.put(1, 2 * n - 1..=2 * n).await.unwrap();
    }
    fixture.store.end_log(&fixture.run, 1).await.unwrap();
    for look in [Look::Next, Look::Thorough] {
        let mut after = id("1-0");
        let mut lengths = Vec::new();
        let ended = loop {
            let page = fixture.store.events_after(&fixture.run, after, 1, look).await.unwrap();
            lengths.push(page.events.len());
            after = page.next;
            if !page.more {
                break page.ended;
            }
            assert_eq!(page.ended, None);
        };
        assert_eq!((lengths.as_slice(), ended), ([2, 2, 2, 0].as_slice(), Some(1)));
    }
}

#[tokio::test]
async fn a_page_is_measured_by_what_it_takes_on_the_way() {
    let fixture = Fixture::new();
    for n in 1..=2 {
        let mut control = chunk(1, n..=n);
        control.events[0].text = "\u{1}".repeat(1000);
        fixture.store.put_log_chunk(&fixture.run, control, LIMIT).await.unwrap();
    }
    let page = fixture.store.events_after(&fixture.run, EventId::START, 6000, Look::Thorough).await.unwrap();
    assert_eq!((page.events.len(), page.more), (1, true), "a control character takes six bytes");
}

#[tokio::test]
async fn writers_at_once_store_each_event_once() {
    let fixture = Fixture::new();
    let puts = (1..=20).flat_map(|length| [fixture.put(1, 1..=length), fixture.put(1, 1..=20)]);
    for put in futures::future::join_all(puts).await {
        put.unwrap();
    }
    let expected: Vec<String> = (1..=20).map(|n| format!("1-{n}")).collect();
    assert_eq!(fixture.read("0-0", Look::Thorough).await.0, expected);
    assert_eq!(fixture.read("1-0", Look::Next).await.0, expected);
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_log_whole() {
    let fixture = Fixture::new();
    let mut put = Box::pin(fixture.put(1, 1..=3));
    assert!(futures::poll!(&mut put).is_pending());
    drop(put);
    fixture.put(1, 1..=9).await.unwrap();
    let expected: Vec<String> = (1..=9).map(|n| format!("1-{n}")).collect();
    assert_eq!(fixture.read("0-0", Look::Thorough).await.0, expected);
}

#[tokio::test]
async fn what_is_not_a_line_of_an_event_is_damage() {
    let fixture = Fixture::new();
    fixture.put(1, 1..=1).await.unwrap();
    std::fs::write(fixture.folder.path().join("team/uid/logs/0000000001/00000000000000000001"), "x\n").unwrap();
    let read = fixture.store.events_after(&fixture.run, EventId::START, 1, Look::Thorough).await;
    assert!(matches!(read, Err(StoreError::Damaged(_))));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_fails_the_probe() {
    let fixture = Fixture::new();
    fixture.store.probe().await.unwrap();
    assert!(walkdir::WalkDir::new(fixture.folder.path()).min_depth(1).into_iter().next().is_none(), "nothing is left");
    std::fs::remove_dir_all(fixture.folder.path()).unwrap();
    std::fs::write(fixture.folder.path(), "in the way").unwrap();
    assert!(fixture.store.probe().await.is_err());
    assert!(Store::directory(fixture.folder.path()).unwrap_err().to_string().contains("cannot be opened"));
    std::fs::remove_file(fixture.folder.path()).unwrap();
}

#[test]
fn a_disk_without_room_is_told_from_other_failures() {
    let failed = |kind: std::io::ErrorKind| {
        let source = Box::new(std::io::Error::from(kind));
        StoreError::from(object_store::Error::Generic { store: "test", source })
    };
    assert!(failed(std::io::ErrorKind::StorageFull).is_full());
    assert!(failed(std::io::ErrorKind::QuotaExceeded).is_full());
    assert!(!failed(std::io::ErrorKind::PermissionDenied).is_full());
    assert!(!StoreError::LogFull(1).is_full());
}
