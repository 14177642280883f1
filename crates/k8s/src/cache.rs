//! A cache of objects, grouped by the object whose reconciliation they concern.
//!
//! It holds one set of objects even during a re-list: what a list brings is stamped, and what was not stamped at the
//! list's end has vanished. Older versions of an object never replace newer ones, so that a writer may put in what
//! the API server answered, before the watch tells it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// An object on its way into the cache.
#[derive(Clone, Debug)]
pub struct Item<V> {
    /// The object whose reconciliation it concerns.
    pub group: Key,
    /// The object's own name.
    pub name: Arc<str>,
    /// The object's resourceVersion.
    pub version: Version,
    /// What is kept of the object.
    pub value: Arc<V>,
}

/// A resourceVersion, ordered as the API server orders them (KEP-5504). One that is no number is newer than all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u128);

impl Version {
    /// Reads a resourceVersion.
    #[must_use]
    pub fn read(text: Option<&str>) -> Self {
        Self(text.and_then(|text| text.parse().ok()).unwrap_or(u128::MAX))
    }
}

struct Entry<V> {
    name: Arc<str>,
    version: Version,
    seen: u64,
    value: Arc<V>,
}

struct State<V> {
    groups: HashMap<Key, Vec<Entry<V>>>,
    /// Counts the lists; an entry was seen in the list of this number, or after it.
    list: u64,
}

/// The cache.
pub struct Cache<V> {
    state: Mutex<State<V>>,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self { state: Mutex::new(State { groups: HashMap::new(), list: 0 }) }
    }
}

impl<V> Cache<V> {
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects of a group.
    pub fn group(&self, group: &Key) -> Vec<Arc<V>> {
        self.lock().groups.get(group).into_iter().flatten().map(|entry| entry.value.clone()).collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.lock().groups.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The groups that there are.
    pub fn groups(&self) -> Vec<Key> {
        self.lock().groups.keys().cloned().collect()
    }

    /// Puts an object in, unless a newer version of it is there; says whether it did.
    pub fn put(&self, item: Item<V>) -> bool {
        let mut state = self.lock();
        let seen = state.list;
        let entries = state.groups.entry(item.group).or_default();
        let entry = Entry { name: item.name, version: item.version, seen, value: item.value };
        match entries.iter_mut().find(|present| present.name == entry.name) {
            Some(present) if present.version > entry.version => {
                present.seen = seen;
                false
            }
            Some(present) => {
                *present = entry;
                true
            }
            None => {
                entries.reserve_exact(1);
                entries.push(entry);
                true
            }
        }
    }

    /// Takes an object out.
    pub fn remove(&self, group: &Key, name: &str) {
        let mut state = self.lock();
        if let Some(entries) = state.groups.get_mut(group) {
            entries.retain(|entry| &*entry.name != name);
            if entries.is_empty() {
                state.groups.remove(group);
            }
        }
    }

    /// A list begins.
    pub fn begin_list(&self) {
        self.lock().list += 1;
    }

    /// A list is complete: takes out what it did not bring, and says which groups that concerns.
    pub fn end_list(&self) -> Vec<Key> {
        let mut state = self.lock();
        let list = state.list;
        let mut vanished = Vec::new();
        state.groups.retain(|group, entries| {
            let before = entries.len();
            entries.retain(|entry| entry.seen == list);
            if entries.len() < before {
                vanished.push(group.clone());
            }
            !entries.is_empty()
        });
        vanished
    }
}

#[cfg(test)]
mod tests;
