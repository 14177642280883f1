use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::*;

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// Whether the future is ready, without waiting for it.
fn ready(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
}

#[test]
fn a_manual_clock_stands_until_it_is_moved() {
    let (clock, hand) = Clock::manual(start());
    let other = clock.clone();
    assert_eq!(clock.now(), start());
    hand.advance(Duration::from_secs(90));
    assert_eq!(clock.now().to_string(), "2026-01-01T00:01:30Z");
    hand.clone().set(start());
    assert_eq!(other.now(), start());
    hand.advance(Duration::MAX);
    assert_eq!(clock.now(), Timestamp::MAX);
}

#[test]
fn sleeping_ends_when_the_time_is_reached_and_not_before() {
    let (clock, hand) = Clock::manual(start());
    let at = start() + Duration::from_secs(10);
    let mut sleep = pin!(clock.sleep_until(at));
    assert!(!ready(sleep.as_mut()));
    hand.advance(Duration::from_millis(9_999));
    assert!(!ready(sleep.as_mut()));
    hand.advance(Duration::from_millis(1));
    assert!(ready(sleep.as_mut()));
    assert!(ready(pin!(clock.sleep_until(at))), "a time that has passed is not waited for");
}

#[tokio::test]
async fn every_sleeper_is_woken() {
    let (clock, hand) = Clock::manual(start());
    let sleepers: Vec<_> = (1..=3u64)
        .map(|seconds| {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep_until(start() + Duration::from_secs(seconds)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    hand.advance(Duration::from_secs(3));
    for sleeper in sleepers {
        sleeper.await.unwrap();
    }
}

#[test]
fn a_clock_that_nobody_moves_any_more_is_waited_for_in_vain() {
    let (clock, hand) = Clock::manual(start());
    drop(hand);
    assert!(!ready(pin!(clock.sleep_until(start() + Duration::from_secs(1)))));
    assert!(ready(pin!(clock.sleep_until(start()))));
}

#[tokio::test]
async fn the_system_clock_sleeps_for_as_long_as_asked() {
    let clock = Clock::system();
    let at = clock.now() + Duration::from_millis(20);
    clock.sleep_until(at).await;
    assert!(clock.now() >= at);
    clock.sleep_until(at - Duration::from_secs(3600)).await;
}
