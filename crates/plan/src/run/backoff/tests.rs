use super::*;

#[test]
fn pauses_double_up_to_the_longest_and_are_spread() {
    let first = Duration::from_secs(10);
    for (endings, seconds) in [(1, 10), (2, 20), (3, 40), (7, 600), (u32::MAX, 600)] {
        let pause = backoff(first, endings, "uid").as_secs();
        assert!((seconds..=seconds * 5 / 4).contains(&pause), "{endings}: {pause}");
    }
    let pauses: std::collections::BTreeSet<_> = (0..20).map(|n| backoff(first, 1, &format!("uid-{n}"))).collect();
    assert!(pauses.len() > 10, "{pauses:?}");
}

#[test]
fn the_same_ending_has_the_same_pause() {
    assert_eq!(backoff(Duration::from_secs(10), 3, "uid"), backoff(Duration::from_secs(10), 3, "uid"));
}
