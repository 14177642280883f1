use super::*;

fn key(name: &str) -> Key {
    Key { namespace: "ns".into(), name: name.into() }
}

fn item(group: &str, name: &str, version: &str, value: u32) -> Item<u32> {
    Item { group: key(group), name: name.into(), version: Version::read(Some(version)), value: Arc::new(value) }
}

fn values(cache: &Cache<u32>, group: &str) -> Vec<u32> {
    cache.group(&key(group)).iter().map(|value| **value).collect()
}

#[test]
fn a_newer_version_replaces_an_older_one_and_not_the_other_way_round() {
    let cache = Cache::default();
    assert!(cache.put(item("a", "x", "9", 1)));
    assert!(cache.put(item("a", "x", "10", 2)));
    assert!(!cache.put(item("a", "x", "9", 3)));
    assert_eq!(values(&cache, "a"), [2]);
}

#[test]
fn a_version_that_is_no_number_is_taken() {
    let cache = Cache::default();
    cache.put(item("a", "x", "9", 1));
    assert!(cache.put(item("a", "x", "abc", 2)));
    assert_eq!(values(&cache, "a"), [2]);
}

#[test]
fn a_list_takes_out_what_it_did_not_bring() {
    let cache = Cache::default();
    cache.put(item("kept", "x", "1", 1));
    cache.put(item("gone", "y", "1", 2));
    cache.put(item("thinned", "z", "1", 3));
    cache.put(item("thinned", "w", "1", 4));
    cache.begin_list();
    cache.put(item("kept", "x", "1", 1));
    cache.put(item("thinned", "w", "1", 4));
    let mut vanished = cache.end_list();
    vanished.sort();
    assert_eq!(vanished, [key("gone"), key("thinned")]);
    assert_eq!((values(&cache, "kept"), values(&cache, "gone"), values(&cache, "thinned")), (vec![1], vec![], vec![4]));
}

#[test]
fn what_is_put_in_by_a_writer_during_a_list_stays() {
    let cache = Cache::default();
    cache.put(item("a", "x", "5", 1));
    cache.begin_list();
    cache.put(item("a", "x", "7", 2));
    cache.put(item("a", "x", "5", 1));
    assert!(cache.end_list().is_empty());
    assert_eq!(values(&cache, "a"), [2]);
}

#[test]
fn an_empty_group_is_no_group() {
    let cache = Cache::default();
    cache.put(item("a", "x", "1", 1));
    cache.remove(&key("a"), "x");
    assert!(cache.is_empty() && cache.groups().is_empty());
}
