//! Where logs end, remembered so that appending does not list them each time. Holds nothing that the store does not:
//! what is forgotten is read again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::Run;

/// How many logs are remembered; beyond that those that are not being written to are forgotten.
const REMEMBERED: usize = 4096;

/// Where the log of an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The sequence of the event that comes next.
    pub(crate) next: u64,
    /// How many bytes are stored.
    pub(crate) bytes: u64,
}

/// The tail of one log, `None` when it must be read; held by whoever writes, so that there is one writer at a time.
type Slot = Arc<tokio::sync::Mutex<Option<Tail>>>;

#[derive(Debug, Default)]
pub(crate) struct Tails(Mutex<HashMap<(Run, u32), Slot>>);

impl Tails {
    pub(crate) fn of(&self, run: &Run, attempt: u32) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= REMEMBERED {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry((run.clone(), attempt)).or_default())
    }

    /// Forgets the logs of a run whose objects are gone.
    pub(crate) fn forget(&self, run: &Run) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|(of, _), _| of != run);
    }
}
