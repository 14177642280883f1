use std::cell::{Cell, RefCell};

use super::*;

const PATIENCE: Duration = Duration::from_secs(120);

fn away() -> Failure {
    Failure::NoAnswer("connection refused".to_owned())
}

/// When the agent has to end and why, when the gateway answers as `answer` says, by the time since the start.
async fn ends(answer: impl AsyncFn(Duration) -> Result<Heartbeat, Failure>) -> (Duration, Reason) {
    ends_after(Duration::ZERO, answer).await
}

/// The same when the gateway was silent for some time already.
async fn ends_after(
    silence: Duration,
    answer: impl AsyncFn(Duration) -> Result<Heartbeat, Failure>,
) -> (Duration, Reason) {
    let start = Instant::now();
    let termination = until_the_end(async || answer(start.elapsed()).await, PATIENCE, silence).await;
    (start.elapsed(), termination.reason)
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_stop_ends_the_agent() {
    let beats = RefCell::new(Vec::new());
    let answer = async |at: Duration| {
        beats.borrow_mut().push(at.as_secs());
        Ok(Heartbeat { stop: at.as_secs() >= 90 })
    };
    assert_eq!(ends(answer).await, (Duration::from_secs(90), Reason::PodDeleted));
    assert_eq!(*beats.borrow(), [0, 30, 60, 90]);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_away_too_long_ends_the_agent() {
    assert_eq!(ends(async |_| Err(away())).await, (PATIENCE, Reason::ReportingLost));
    // One that takes the request and says nothing.
    assert_eq!(ends(async |_| std::future::pending().await).await, (PATIENCE, Reason::ReportingLost));
    let refuses = async |_| Err(Failure::Answer { status: reqwest::StatusCode::FORBIDDEN, text: String::new() });
    assert_eq!(ends(refuses).await, (PATIENCE, Reason::ReportingLost));
}

#[tokio::test(start_paused = true)]
async fn the_time_runs_from_the_last_beat_that_was_answered() {
    // Answers at 0 s and 30 s, and never again.
    let answer = async |at: Duration| if at.as_secs() < 60 { Ok(Heartbeat { stop: false }) } else { Err(away()) };
    assert_eq!(ends(answer).await, (Duration::from_secs(150), Reason::ReportingLost));
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_changes_nothing() {
    let tries = Cell::new(0);
    let answer = async |at: Duration| {
        tries.set(tries.get() + 1);
        match at.as_secs() {
            0..31 => Ok(Heartbeat { stop: false }),
            31..140 => Err(away()),
            140..600 => Ok(Heartbeat { stop: false }),
            _ => Ok(Heartbeat { stop: true }),
        }
    };
    let (at, reason) = ends(answer).await;
    assert_eq!(reason, Reason::PodDeleted);
    assert!(at < Duration::from_secs(640), "{at:?}");
    assert!(tries.get() < 80, "the gateway is not flooded: {}", tries.get());
}

#[tokio::test(start_paused = true)]
async fn a_silence_that_began_before_counts() {
    let never = async |_| Err(away());
    assert_eq!(ends_after(Duration::from_secs(50), never).await, (Duration::from_secs(70), Reason::ReportingLost));
    assert_eq!(ends_after(PATIENCE * 2, never).await, (LAST_TRY, Reason::ReportingLost));
    // An answer says that the pod is still wanted, however late it comes.
    let late = async |at: Duration| if at.is_zero() { Ok(Heartbeat { stop: false }) } else { Err(away()) };
    assert_eq!(ends_after(PATIENCE * 2, late).await, (PATIENCE, Reason::ReportingLost));
}

#[test]
fn when_the_gateway_answered_last_is_known_to_the_next_broker() {
    let dir = tempfile::TempDir::new().unwrap();
    let heard = Heard::beside(dir.path());
    assert_eq!(heard.silence(), Duration::ZERO, "it never did");
    let now = uptime();
    heard.at(now.saturating_sub(Duration::from_secs(5)));
    assert!((5..60).contains(&Heard::beside(dir.path()).silence().as_secs()));
    // The node was started anew meanwhile, so no agent of before lives.
    heard.at(now + Duration::from_secs(3600));
    assert_eq!(heard.silence(), Duration::ZERO);
    std::fs::write(dir.path().join("heard"), "nonsense").unwrap();
    assert_eq!(heard.silence(), Duration::ZERO);
}
