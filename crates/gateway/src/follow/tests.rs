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
fn the_last_pod_can_speak_until_it_has_ended() {
    let (status, now) = finished();
    assert_eq!(silence(&status, now), Silence::OncePodEnded { name: "pod", uid: "uid" });
}

#[test]
fn a_broker_is_not_waited_for_longer_than_it_can_live() {
    let (status, now) = finished();
    let waits = |seconds| silence(&status, now + SignedDuration::from_secs(seconds)) != Silence::Certain;
    assert!(waits(-5) && waits(130));
    assert!(!waits(131));
}

#[test]
fn without_a_pod_nobody_speaks() {
    let (status, now) = finished();
    assert_eq!(silence(&SessionStatus { pod: None, ..status }, now), Silence::Certain);
}
