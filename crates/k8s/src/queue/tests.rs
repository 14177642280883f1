use std::{future::Future, pin::pin, task::Poll};

use drover_service::clock::ManualClock;
use futures::{FutureExt, poll};

use super::*;

fn queue() -> (Queue<&'static str>, ManualClock) {
    let (clock, time) = Clock::manual(Timestamp::UNIX_EPOCH);
    (Queue::new(clock), time)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    future.now_or_never()
}

fn next(queue: &Queue<&'static str>) -> Option<&'static str> {
    now(queue.next(Serves::Both)).flatten()
}

#[test]
fn a_key_is_there_once_however_often_it_was_added() {
    let (queue, _) = queue();
    queue.add("a", Lane::Later);
    queue.add("a", Lane::Later);
    assert_eq!((next(&queue), next(&queue)), (Some("a"), None));
}

#[test]
fn what_is_added_while_it_is_worked_on_comes_again_afterwards() {
    let (queue, _) = queue();
    queue.add("a", Lane::Later);
    assert_eq!(next(&queue), Some("a"));
    queue.add("a", Lane::First);
    assert_eq!(next(&queue), None);
    queue.done(&"a");
    assert_eq!(now(queue.next(Serves::First)).flatten(), Some("a"));
}

#[test]
fn the_first_lane_goes_first_and_a_key_can_move_up() {
    let (queue, _) = queue();
    queue.add("a", Lane::Later);
    queue.add("b", Lane::Later);
    queue.add("c", Lane::First);
    queue.add("b", Lane::First);
    let order: Vec<_> = std::iter::from_fn(|| next(&queue)).collect();
    assert_eq!(order, ["c", "b", "a"]);
}

#[test]
fn some_workers_serve_the_first_lane_only() {
    let (queue, _) = queue();
    queue.add("a", Lane::Later);
    assert_eq!(now(queue.next(Serves::First)), None);
    assert_eq!(next(&queue), Some("a"));
}

#[tokio::test]
async fn a_delayed_key_comes_when_its_time_has_come_and_the_earliest_counts() {
    let (queue, time) = queue();
    queue.add_at("a", at(20));
    queue.add_at("a", at(10));
    queue.add_at("a", at(30));
    let mut waiting = pin!(queue.next(Serves::Both));
    assert!(poll!(waiting.as_mut()).is_pending());
    time.advance(Duration::from_secs(9));
    assert!(poll!(waiting.as_mut()).is_pending());
    time.advance(Duration::from_secs(1));
    assert_eq!(waiting.await, Some("a"));
    queue.done(&"a");
    time.advance(Duration::from_secs(60));
    assert_eq!(next(&queue), None);
}

#[tokio::test]
async fn an_earlier_key_wakes_a_worker_that_waits_for_a_later_one() {
    let (queue, time) = queue();
    queue.add_at("late", at(100));
    let mut waiting = pin!(queue.next(Serves::Both));
    assert!(poll!(waiting.as_mut()).is_pending());
    queue.add_at("early", at(10));
    time.advance(Duration::from_secs(10));
    assert_eq!(waiting.await, Some("early"));
}

#[test]
fn a_key_that_fails_comes_again_after_a_pause_that_grows() {
    let (queue, time) = queue();
    queue.add("a", Lane::Later);
    let mut pauses = Vec::new();
    for _ in 0..14 {
        assert_eq!(next(&queue), Some("a"));
        queue.failed(&"a");
        let mut waited = Duration::ZERO;
        while queue.lock().delayed.first().is_some_and(|(at, _)| *at > queue.clock.now()) {
            time.advance(Duration::from_millis(1));
            waited += Duration::from_millis(1);
        }
        pauses.push(waited);
    }
    assert!(pauses[0] < Duration::from_millis(70), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause < LONGEST_PAUSE * 5 / 4), "{pauses:?}");
    assert!(pauses[13] >= LONGEST_PAUSE * 3 / 4, "{pauses:?}");
    assert_eq!(next(&queue), Some("a"));
    queue.done(&"a");
    queue.add("a", Lane::Later);
    assert_eq!(next(&queue), Some("a"));
    queue.failed(&"a");
    time.advance(Duration::from_millis(70));
    assert_eq!(next(&queue), Some("a"), "success forgets the failures");
}

#[tokio::test]
async fn a_closed_queue_lets_all_workers_go() {
    let (queue, _) = queue();
    let mut one = pin!(queue.next(Serves::Both));
    let mut two = pin!(queue.next(Serves::First));
    assert!(poll!(one.as_mut()).is_pending() && poll!(two.as_mut()).is_pending());
    queue.add("a", Lane::Later);
    queue.close();
    assert_eq!(poll!(one.as_mut()), Poll::Ready(None));
    assert_eq!(poll!(two.as_mut()), Poll::Ready(None));
    assert_eq!(next(&queue), None);
}

#[tokio::test]
async fn a_call_is_not_answered_by_a_worker_that_cannot_take_the_work() {
    let (queue, _) = queue();
    let mut first = pin!(queue.next(Serves::First));
    let mut both = pin!(queue.next(Serves::Both));
    assert!(poll!(first.as_mut()).is_pending() && poll!(both.as_mut()).is_pending());
    queue.add("a", Lane::Later);
    assert!(poll!(first.as_mut()).is_pending());
    assert_eq!(poll!(both.as_mut()), Poll::Ready(Some("a")));
}
