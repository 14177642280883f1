use std::sync::{Arc, Mutex};

use futures::stream;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::runtime::watcher::Event;

use super::*;
use crate::cache::Version;

fn map(name: &str, version: &str) -> ConfigMap {
    let metadata =
        ObjectMeta { name: Some(name.to_owned()), resource_version: Some(version.to_owned()), ..ObjectMeta::default() };
    ConfigMap { metadata, ..ConfigMap::default() }
}

fn key(name: &str) -> Key {
    Key { namespace: "ns".into(), name: name.into() }
}

async fn signals(cache: &Cache<()>, events: Vec<Event<ConfigMap>>) -> Vec<Signal> {
    let told = Mutex::new(Vec::new());
    let read = |map: ConfigMap| {
        let group = key(&map.metadata.name?);
        let version = Version::read(map.metadata.resource_version.as_deref());
        Some(Item { name: group.name.clone(), group, version, value: Arc::new(()) })
    };
    consume(stream::iter(events.into_iter().map(Ok)), cache, read, |signal| told.lock().unwrap().push(signal)).await;
    told.into_inner().unwrap()
}

#[tokio::test]
async fn an_object_that_vanished_during_a_re_list_is_told() {
    let cache = Cache::default();
    let first = vec![Event::Init, Event::InitApply(map("a", "1")), Event::InitApply(map("b", "1")), Event::InitDone];
    assert_eq!(signals(&cache, first).await, [Signal::Changed(key("a")), Signal::Changed(key("b")), Signal::Synced]);
    let again = vec![Event::Init, Event::InitApply(map("a", "1")), Event::InitDone];
    assert_eq!(signals(&cache, again).await, [Signal::Changed(key("a")), Signal::Vanished(key("b")), Signal::Synced]);
    assert_eq!(cache.groups(), [key("a")]);
}

#[tokio::test]
async fn a_deletion_is_told_and_the_object_leaves_the_cache() {
    let cache = Cache::default();
    let events = vec![Event::Apply(map("a", "1")), Event::Delete(map("a", "2"))];
    assert_eq!(signals(&cache, events).await, [Signal::Changed(key("a")), Signal::Vanished(key("a"))]);
    assert!(cache.is_empty());
}
