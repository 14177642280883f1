use drover_api::log::MAX_TEXT;
use tempfile::TempDir;

use super::*;

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
    assert!(log.has_output());
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
            let held = log.state.borrow().buffered;
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

#[tokio::test]
async fn after_the_limit_lines_are_counted_and_dropped() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(1, dir.path());
    log.take(0, &outputs(0..3)).await;
    log.due().await;
    let full = Failure::Answer { status: StatusCode::PAYLOAD_TOO_LARGE, text: String::new() };
    log.state.send_modify(|state| state.stop(&full));
    let lines: Vec<Output> = (0..200).map(|_| output("x".repeat(MAX_TEXT))).collect();
    log.take(3, &lines).await;
    log.flush().await;
    let problem = log.problem().unwrap();
    assert_eq!(problem, "the log is longer than the platform keeps: 203 lines at its end not stored");
}
