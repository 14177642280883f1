//! Feeds a cache from a watch, and tells which groups changed.

use std::{fmt::Debug, pin::pin};

use futures::{Stream, StreamExt};
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;

use crate::{
    cache::{Cache, Item, Key},
    decoded::Decoded,
};

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An object of the group came or changed.
    Changed(Key),
    /// An object of the group is gone from the watch; it may still be there, where the watch selects by a field.
    Vanished(Key),
    /// The cache holds all that there is; comes again after each re-list.
    Synced,
}

/// Watches `api` for ever.
///
/// `read` makes the cache's item of an object, without what no decision needs,
/// or none of an object that does not concern Drover. Failures of the watch are logged and tried again with
/// back-off.
pub async fn feed<K, V>(
    api: Api<Decoded<K>>,
    config: watcher::Config,
    cache: &Cache<V>,
    read: impl Fn(K) -> Option<Item<V>> + Send,
    tell: impl Fn(Signal) + Send,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let events = watcher(api, config).default_backoff();
    consume(events, cache, |object| readable(object).and_then(&read), tell).await;
}

/// The object, if it can be decoded. One that cannot is logged and passed over: it may be of a newer version of Drover.
fn readable<K: Resource<DynamicType = ()>>(decoded: Decoded<K>) -> Option<K> {
    match decoded {
        Decoded::Readable(object) => Some(object),
        Decoded::Unreadable { metadata, why } => {
            let (kind, name, namespace) = (K::kind(&()), metadata.name.as_deref(), metadata.namespace.as_deref());
            tracing::warn!(%kind, name, namespace, why, "an object cannot be read; it is passed over");
            None
        }
    }
}

async fn consume<K, V>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    cache: &Cache<V>,
    read: impl Fn(K) -> Option<Item<V>>,
    tell: impl Fn(Signal),
) where
    K: Resource<DynamicType = ()>,
{
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => cache.begin_list(),
            Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => {
                if let Some(item) = read(object) {
                    let group = item.group.clone();
                    cache.put(item);
                    tell(Signal::Changed(group));
                }
            }
            Ok(watcher::Event::Delete(object)) => {
                if let Some(item) = read(object) {
                    cache.remove(&item.group, &item.name);
                    tell(Signal::Vanished(item.group));
                }
            }
            Ok(watcher::Event::InitDone) => {
                cache.end_list().into_iter().for_each(|group| tell(Signal::Vanished(group)));
                tell(Signal::Synced);
            }
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), error = &error as &dyn std::error::Error, "the watch failed; it is tried again");
            }
        }
    }
}

#[cfg(test)]
mod tests;
