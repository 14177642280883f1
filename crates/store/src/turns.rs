//! Whose turn it is to store an artifact or a checkpoint: one upload of a run at a time, so that what a run keeps can be counted, and so
//! many of all runs, so that memory is bounded. As each run has one upload at most, none can take all places.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::{Run, StoreError};

/// How many uploads there are at once. Each takes two parts of memory.
const UPLOADS: usize = 24;
/// How long an upload waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many runs are remembered; beyond that those without an upload are forgotten.
const REMEMBERED: usize = 1024;

#[derive(Debug)]
pub(crate) struct Turns {
    runs: Mutex<HashMap<Run, Arc<tokio::sync::Mutex<()>>>>,
    uploads: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Turns {
    fn default() -> Self {
        Self { runs: Mutex::default(), uploads: Arc::new(Semaphore::new(UPLOADS)), patience: PATIENCE }
    }
}

/// A turn, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _run: OwnedMutexGuard<()>,
    _upload: OwnedSemaphorePermit,
}

impl Turns {
    /// Waits until the run may store an artifact or a checkpoint.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when that takes too long.
    pub(crate) async fn wait(&self, run: &Run) -> Result<Turn, StoreError> {
        let turn = async {
            let run = self.of(run).lock_owned().await;
            let upload = Arc::clone(&self.uploads).acquire_owned().await.map_err(|_| StoreError::Busy)?;
            Ok(Turn { _run: run, _upload: upload })
        };
        tokio::time::timeout(self.patience, turn).await.map_err(|_| StoreError::Busy)?
    }

    fn of(&self, run: &Run) -> Arc<tokio::sync::Mutex<()>> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() >= REMEMBERED {
            runs.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(runs.entry(run.clone()).or_default())
    }
}

#[cfg(test)]
mod tests;
