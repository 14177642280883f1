use drover_api::{session::PodReference, state::Phase};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn finished() -> (SessionStatus, Timestamp) {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let pod = PodReference { name: "pod".to_owned(), uid: Some("uid".to_owned()), node: None };
    let status = SessionStatus {
        phase: Phase::Failed,
        attempt: Some(2),
        finished_at: Some(Time(now)),
        pod: Some(pod),
        ..SessionStatus::default()
    };
    (status, now)
}

#[test]
fn the_last_attempts_word_counts_not_an_earlier_ones() {
    let (status, now) = finished();
    assert_eq!(silence(&status, Some(2), now), Silence::Certain);
    for ended in [None, Some(1)] {
        assert_eq!(silence(&status, ended, now), Silence::OncePodEnded { name: "pod", uid: "uid" });
    }
}

#[test]
fn a_broker_is_not_waited_for_longer_than_it_can_live() {
    let (status, now) = finished();
    let waits = |seconds| silence(&status, None, now + SignedDuration::from_secs(seconds)) != Silence::Certain;
    assert!(waits(-5) && waits(120));
    assert!(!waits(121));
}

#[test]
fn without_a_pod_nobody_speaks() {
    let (status, now) = finished();
    assert_eq!(silence(&SessionStatus { pod: None, ..status }, None, now), Silence::Certain);
}
