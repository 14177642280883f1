use std::{fs, path::PathBuf};

use drover_api::log::Kind;
use tempfile::TempDir;

use super::*;

fn line(sequence: u64) -> Vec<u8> {
    let event = Event {
        id: EventId { attempt: 1, sequence },
        time: "2026-01-01T00:00:00.000Z".to_owned(),
        kind: Kind::Agent,
        stream: None,
        text: format!("text {sequence}"),
        partial: false,
    };
    [serde_json::to_vec(&event).unwrap().as_slice(), b"\n"].concat()
}

fn append(journal: &mut Journal, position: &mut Position, origin: Origin) {
    let mut marked = Vec::new();
    mark(origin, &line(position.next), &mut marked);
    journal.append(&marked);
    position.advance(origin);
}

fn segment(dir: &TempDir, start: Position) -> PathBuf {
    dir.path().join(start.file_name())
}

#[test]
fn a_new_run_starts_at_the_start() {
    let dir = TempDir::new().unwrap();
    let recovered = Journal::open(dir.path(), 1);
    assert_eq!((recovered.position, recovered.chunks), (Position::START, vec![]));
}

#[test]
fn a_successor_goes_on_and_sends_the_same_bytes() {
    let dir = TempDir::new().unwrap();
    let Recovered { mut journal, mut position, .. } = Journal::open(dir.path(), 1);
    append(&mut journal, &mut position, Origin::Exec);
    append(&mut journal, &mut position, Origin::Broker);
    let second = position;
    journal.begin(second);
    append(&mut journal, &mut position, Origin::Exec);
    drop(journal);

    let first = Chunk { start: Position::START, lines: [line(1), line(2)].concat().into() };
    let last = Chunk { start: second, lines: line(3).into() };
    // However often it is started again before something was stored.
    for _ in 0..3 {
        let recovered = Journal::open(dir.path(), 1);
        assert_eq!(recovered.position, Position { next: 4, taken: 2 });
        assert_eq!(recovered.chunks, [first.clone(), last.clone()]);
    }
    let mut recovered = Journal::open(dir.path(), 1);
    recovered.journal.remove(Position::START);
    recovered.journal.remove(second);
    let recovered = Journal::open(dir.path(), 1);
    assert_eq!((recovered.position, recovered.chunks), (Position { next: 4, taken: 2 }, vec![]));
}

#[test]
fn a_line_that_was_begun_is_not_there() {
    let dir = TempDir::new().unwrap();
    let Recovered { mut journal, mut position, .. } = Journal::open(dir.path(), 1);
    append(&mut journal, &mut position, Origin::Exec);
    let mut torn = Vec::new();
    mark(Origin::Exec, &line(2), &mut torn);
    journal.append(&torn[..torn.len() - 1]);
    let recovered = Journal::open(dir.path(), 1);
    assert_eq!(recovered.position, Position { next: 2, taken: 1 });
    assert_eq!(recovered.chunks, [Chunk { start: Position::START, lines: line(1).into() }]);
}

#[test]
fn what_is_damaged_is_not_believed() {
    let dir = TempDir::new().unwrap();
    drop(Journal::open(dir.path(), 1));
    // No file, the wrong number, no event.
    fs::remove_file(segment(&dir, Position::START)).unwrap();
    fs::create_dir(segment(&dir, Position::START)).unwrap();
    fs::write(segment(&dir, Position { next: 5, taken: 0 }), [b">".as_slice(), &line(7)].concat()).unwrap();
    fs::write(segment(&dir, Position { next: 6, taken: 0 }), b">token\n").unwrap();
    fs::write(dir.path().join("other"), b"x").unwrap();
    let recovered = Journal::open(dir.path(), 1);
    assert_eq!(recovered.chunks, []);
    assert_eq!(recovered.position, Position { next: 6, taken: 0 });
    // Another attempt's events are not this one's.
    fs::write(segment(&dir, Position { next: 6, taken: 0 }), [b">".as_slice(), &line(6)].concat()).unwrap();
    assert_eq!(Journal::open(dir.path(), 2).chunks, []);
}

#[test]
fn without_a_folder_the_log_goes_on() {
    let dir = TempDir::new().unwrap();
    let Recovered { mut journal, mut position, chunks, .. } = Journal::open(&dir.path().join("absent"), 1);
    assert!(chunks.is_empty());
    append(&mut journal, &mut position, Origin::Exec);
    journal.begin(position);
    journal.cut();
    journal.remove(Position::START);
}
