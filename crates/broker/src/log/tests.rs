use drover_api::log::{Event, MAX_TEXT};
use reqwest::StatusCode;
use tempfile::TempDir;

use super::{
    state::{BUFFER, CHUNK},
    *,
};
use crate::gateway::Failure;

fn output(text: impl Into<String>) -> Output {
    Output { kind: Kind::Agent, stream: None, text: text.into(), partial: false }
}

fn outputs(range: std::ops::Range<u64>) -> Vec<Output> {
    range.map(|number| output(format!("line {number}"))).collect()
}

fn events(chunk: &Chunk) -> Vec<Event> {
    chunk
        .lines
        .split(|byte| *byte == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect()
}

/// All that is held, as though it were stored.
async fn stored(log: &Log) -> Vec<Event> {
    log.state.send_modify(|state| state.flushing = true);
    let mut all = Vec::new();
    while !log.state.borrow().is_settled() {
        let chunk = log.due().await;
        assert!(chunk.lines.len() <= CHUNK);
        let events = events(&chunk);
        assert_eq!(events[0].id.sequence, chunk.start.next);
        all.extend(events);
        log.state.send_modify(State::stored);
    }
    all
}

fn texts(events: &[Event]) -> Vec<&str> {
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.id.sequence, events[0].id.sequence + index as u64, "no gap");
    }
    events.iter().map(|event| event.text.as_str()).collect()
}

#[tokio::test]
async fn lines_that_come_again_are_taken_once() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(1, dir.path());
    log.take(0, &outputs(0..3)).await;
    log.say(Kind::System, "between");
    log.take(0, &outputs(0..3)).await;
    log.take(2, &outputs(2..4)).await;
    let events = stored(&log).await;
    assert_eq!(texts(&events), ["line 0", "line 1", "line 2", "between", "line 3"]);
}

#[tokio::test]
async fn a_successor_knows_what_was_taken() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(1, dir.path());
    log.take(0, &outputs(0..3)).await;
    drop(log);
    let log = Log::open(1, dir.path());
    assert_eq!(log.taken(), 3);
    // The answer to the first request was lost.
    log.take(0, &outputs(0..3)).await;
    log.take(3, &outputs(3..4)).await;
    assert_eq!(texts(&stored(&log).await), ["line 0", "line 1", "line 2", "line 3"]);
    drop(log);
    let log = Log::open(1, dir.path());
    log.take(4, &outputs(4..5)).await;
    let events = stored(&log).await;
    assert_eq!((events[0].id.sequence, events[0].text.as_str()), (5, "line 4"));
}

#[tokio::test]
async fn a_lost_journal_is_said_in_the_log() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(1, dir.path());
    log.take(7, &outputs(7..8)).await;
    let events = stored(&log).await;
    assert_eq!(events[0].kind, Kind::Error);
    assert!(events[0].text.contains("7 lines"), "{}", events[0].text);
    assert_eq!(events[1].text, "line 7");
}

#[tokio::test]
async fn what_is_held_is_bounded_and_nothing_is_lost_by_waiting() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(1, dir.path());
    let lines: Vec<Output> = (0..200).map(|_| output("\u{1}".repeat(MAX_TEXT))).collect();
    let mut all = Vec::new();
    {
        let mut taking = std::pin::pin!(log.take(0, &lines));
        loop {
            let finished = tokio::select! {
                biased;
                () = &mut taking => true,
                () = tokio::task::yield_now() => false,
            };
            let held = log.state.borrow().buffered();
            assert!(held < BUFFER + CHUNK, "{held}");
            all.extend(stored(&log).await);
            if finished {
                break;
            }
        }
    }
    all.extend(stored(&log).await);
    assert_eq!(texts(&all).len(), lines.len());
}

fn own(text: &str) -> Output {
    Output { kind: Kind::System, ..output(text) }
}

/// Has the oldest chunk refused.
async fn refuse(log: &Log, status: StatusCode) {
    log.due().await;
    let failure = Failure::Answer { status, text: String::new() };
    log.state.send_modify(|state| state.refuse(&failure));
}

const TOO_LONG: &str = "the log is longer than the platform keeps; the rest of the agent's output is not kept";

#[tokio::test]
async fn a_log_that_is_cut_says_so_and_goes_on_with_drovers_own_events() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(1, dir.path());
    log.take(0, &outputs(0..2)).await;
    assert_eq!(stored(&log).await.len(), 2);
    let lines: Vec<Output> = (0..40).map(|_| output("x".repeat(MAX_TEXT))).collect();
    log.take(2, &[own("said before"), output("lost")]).await;
    log.take(4, &lines).await;
    refuse(&log, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert_eq!(events(&log.due().await).len(), 1, "the sentence goes alone");
    // Never waits, and leaves no gap in the numbers.
    for _ in 0..5 {
        let taken = log.taken();
        log.take(taken, &lines).await;
    }
    let taken = log.taken();
    log.take(taken, &[own("agent ended")]).await;
    log.say(Kind::System, "stored 1 artifact");
    let events = stored(&log).await;
    assert_eq!(texts(&events), [TOO_LONG, "said before", "agent ended", "stored 1 artifact"]);
    assert_eq!((events[0].id.sequence, events[0].kind), (3, Kind::Error));
    assert_eq!(log.problem(), None, "the log itself says it");
}

#[tokio::test]
async fn a_successor_goes_on_with_a_log_that_was_cut() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(1, dir.path());
    // Several chunks, the last of which still grows.
    let lines: Vec<Output> = (0..20).map(|_| output("x".repeat(MAX_TEXT))).collect();
    log.take(0, &lines).await;
    refuse(&log, StatusCode::INSUFFICIENT_STORAGE).await;
    log.take(20, &[output("dropped"), own("kept")]).await;
    log.take(22, &lines).await;
    drop(log);
    let log = Log::open(1, dir.path());
    log.take(42, &[output("dropped"), own("last")]).await;
    let events = stored(&log).await;
    let full = "the platform's store is full; the rest of the agent's output is not kept";
    assert_eq!(texts(&events), [full, "kept", "last"]);
    assert_eq!(events[0].id.sequence, 1);
}

#[tokio::test]
async fn when_not_even_the_sentence_is_taken_nothing_waits() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(1, dir.path());
    log.take(0, &outputs(0..3)).await;
    refuse(&log, StatusCode::INSUFFICIENT_STORAGE).await;
    refuse(&log, StatusCode::INSUFFICIENT_STORAGE).await;
    let lines: Vec<Output> = (0..200).map(|_| own(&"x".repeat(MAX_TEXT))).collect();
    log.take(3, &lines).await;
    log.flush().await;
    let problem = log.problem().unwrap();
    assert_eq!(problem, "the gateway refused the log with 507 Insufficient Storage: 201 lines at its end not stored");
}

#[tokio::test(start_paused = true)]
async fn chunks_wait_for_company_again_after_an_early_end() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(1, dir.path());
    log.flush().await;
    log.take(0, &outputs(0..1)).await;
    let start = Instant::now();
    log.due().await;
    assert_eq!(start.elapsed(), LINGER);
}
