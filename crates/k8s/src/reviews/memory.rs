//! Answers that are remembered for a time, at most so many.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::Key;

#[derive(Debug)]
pub(super) struct Memory<V> {
    ttl: Duration,
    capacity: usize,
    answers: Mutex<HashMap<Key, (V, Instant)>>,
}

impl<V: Clone> Memory<V> {
    pub(super) fn new(ttl: Duration, capacity: usize) -> Self {
        Self { ttl, capacity, answers: Mutex::default() }
    }

    /// The answer, unless it is older than allowed at `now`.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<V> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, asked) = answers.get(key)?;
        self.is_fresh(*asked, now).then(|| answer.clone())
    }

    /// Remembers an answer to what was asked at `asked`. When there are too many, the outdated are forgotten, and when
    /// that does not help, all.
    pub(super) fn put(&self, key: Key, answer: V, asked: Instant) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= self.capacity {
            answers.retain(|_, (_, other)| self.is_fresh(*other, asked));
        }
        if answers.len() >= self.capacity {
            answers.clear();
        }
        answers.insert(key, (answer, asked));
    }

    fn is_fresh(&self, asked: Instant, now: Instant) -> bool {
        now.saturating_duration_since(asked) < self.ttl
    }
}

#[cfg(test)]
mod tests;
