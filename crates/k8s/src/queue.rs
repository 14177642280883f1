//! The work queue: what is to be looked at, when, and by how many at once.
//!
//! A key is in the queue once, however often it was added, and is never worked on twice at the same time: what is
//! added while it is worked on comes again afterwards.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use drover_service::clock::Clock;
use jiff::Timestamp;
use tokio::sync::Notify;

/// How urgent a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Work that can wait for other work.
    Later,
    /// Work for which somebody waits: a pod to create.
    First,
}

/// Which lanes a worker serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Only [`Lane::First`], so that it is never held up.
    First,
    /// Both, [`Lane::First`] before the other.
    Both,
}

/// The first pause before a key that failed is tried again; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

struct State<K> {
    first: VecDeque<K>,
    later: VecDeque<K>,
    queued: HashMap<K, Lane>,
    working: HashSet<K>,
    again: HashMap<K, Lane>,
    delayed: BTreeSet<(Timestamp, K)>,
    due: HashMap<K, Timestamp>,
    failures: HashMap<K, u32>,
    closed: bool,
}

/// The queue.
pub struct Queue<K> {
    state: Mutex<State<K>>,
    /// Wakes a worker that serves [`Lane::First`] only. Each kind of worker has its own bell, so that no call is
    /// answered by one who cannot take the work.
    first: Notify,
    /// Wakes a worker that serves both lanes; these look after what is delayed, too.
    both: Notify,
    clock: Clock,
}

impl<K: Clone + Ord + Hash> Queue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let state = State {
            first: VecDeque::new(),
            later: VecDeque::new(),
            queued: HashMap::new(),
            working: HashSet::new(),
            again: HashMap::new(),
            delayed: BTreeSet::new(),
            due: HashMap::new(),
            failures: HashMap::new(),
            closed: false,
        };
        Self { state: Mutex::new(state), first: Notify::new(), both: Notify::new(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a key now.
    pub fn add(&self, key: K, lane: Lane) {
        self.lock().add(key, lane);
        self.ring(lane);
    }

    fn ring(&self, lane: Lane) {
        if lane == Lane::First {
            self.first.notify_one();
        }
        self.both.notify_one();
    }

    /// Adds a key at a time; the earliest of several counts.
    pub fn add_at(&self, key: K, at: Timestamp) {
        self.lock().delay(key, at);
        self.both.notify_one();
    }

    /// How many keys wait to be worked on now.
    pub fn len(&self) -> usize {
        self.lock().queued.len()
    }

    /// Whether no key waits to be worked on now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands nothing out any more; who waits is told.
    pub fn close(&self) {
        self.lock().closed = true;
        self.ring(Lane::First);
    }

    /// Waits for a key to work on; `None` once the queue is closed. Each key must be given back by
    /// [`Queue::done`] or [`Queue::failed`].
    pub async fn next(&self, serves: Serves) -> Option<K> {
        let bell = match serves {
            Serves::First => &self.first,
            Serves::Both => &self.both,
        };
        loop {
            let earliest = {
                let mut state = self.lock();
                if state.closed {
                    bell.notify_one();
                    return None;
                }
                state.promote(self.clock.now());
                if let Some(key) = state.pop(serves) {
                    // The next worker takes what is left, and looks after what is delayed.
                    bell.notify_one();
                    return Some(key);
                }
                state.delayed.first().map(|(at, _)| *at)
            };
            match earliest.filter(|_| serves == Serves::Both) {
                Some(at) => tokio::select! {
                    () = bell.notified() => {}
                    () = self.clock.sleep_until(at) => {}
                },
                None => bell.notified().await,
            }
        }
    }

    /// The key was worked on.
    pub fn done(&self, key: &K) {
        let mut state = self.lock();
        state.failures.remove(key);
        let again = state.give_back(key);
        drop(state);
        again.into_iter().for_each(|lane| self.ring(lane));
    }

    /// The key could not be worked on; it comes again after a pause that grows with each failure.
    pub fn failed(&self, key: &K) {
        let mut state = self.lock();
        let failures = state.failures.entry(key.clone()).or_default();
        *failures += 1;
        let at = self.clock.now() + pause(key, *failures);
        let again = state.give_back(key);
        state.delay(key.clone(), at);
        drop(state);
        self.ring(again.unwrap_or(Lane::Later));
    }
}

impl<K: Clone + Ord + Hash> State<K> {
    fn add(&mut self, key: K, lane: Lane) {
        if self.working.contains(&key) {
            let wanted = self.again.entry(key).or_insert(lane);
            *wanted = lane.max(*wanted);
            return;
        }
        match self.queued.get(&key) {
            Some(present) if *present >= lane => {}
            _ => {
                // A key that moves up stays in the slower list, too; `pop` passes over it there.
                self.queued.insert(key.clone(), lane);
                self.list(lane).push_back(key);
            }
        }
    }

    fn list(&mut self, lane: Lane) -> &mut VecDeque<K> {
        match lane {
            Lane::First => &mut self.first,
            Lane::Later => &mut self.later,
        }
    }

    fn delay(&mut self, key: K, at: Timestamp) {
        if self.due.get(&key).is_some_and(|present| *present <= at) {
            return;
        }
        if let Some(present) = self.due.insert(key.clone(), at) {
            self.delayed.remove(&(present, key.clone()));
        }
        self.delayed.insert((at, key));
    }

    fn promote(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.delayed.first()
            && *at <= now
            && let Some((_, key)) = self.delayed.pop_first()
        {
            self.due.remove(&key);
            self.add(key, Lane::Later);
        }
    }

    fn pop(&mut self, serves: Serves) -> Option<K> {
        let lanes: &[Lane] = match serves {
            Serves::First => &[Lane::First],
            Serves::Both => &[Lane::First, Lane::Later],
        };
        for lane in lanes {
            while let Some(key) = self.list(*lane).pop_front() {
                if self.queued.get(&key) != Some(lane) {
                    continue;
                }
                self.queued.remove(&key);
                if let Some(at) = self.due.remove(&key) {
                    self.delayed.remove(&(at, key.clone()));
                }
                self.working.insert(key.clone());
                return Some(key);
            }
        }
        None
    }

    /// Ends the work on a key; says in which lane it comes again at once, if it does.
    fn give_back(&mut self, key: &K) -> Option<Lane> {
        self.working.remove(key);
        let lane = self.again.remove(key)?;
        self.add(key.clone(), lane);
        Some(lane)
    }
}

/// The pause after so many failures, a little different for each key, so that what failed together does not come
/// again together.
fn pause<K: Hash>(key: &K, failures: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(failures - 1)).min(LONGEST_PAUSE);
    let mut hasher = DefaultHasher::new();
    (key, failures).hash(&mut hasher);
    let percent = u32::try_from(hasher.finish() % 50).unwrap_or_default();
    full * (75 + percent) / 100
}

#[cfg(test)]
mod tests;
