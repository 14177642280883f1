//! Checkpoints: what an attempt leaves to the next, one object for each attempt.
//!
//! They are kept by attempt, so that an attempt that was thought dead never overwrites what a later one stored. Only the
//! checkpoint of the latest attempt that made one stays.

use std::fmt;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use crate::{Run, Store, StoreError, upload::Upload};

/// A checkpoint that is being read.
pub struct Checkpoint {
    /// The attempt that made it.
    pub attempt: u32,
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes.
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempt, size, bytes: _ } = self;
        f.debug_struct("Checkpoint").field("attempt", attempt).field("size", size).finish_non_exhaustive()
    }
}

impl Store {
    /// Stores a checkpoint in place of the attempt's last one, after all of it has come, and then removes those of earlier
    /// attempts. Memory is bounded whatever its size. Where anything goes wrong, or the future is dropped, what was
    /// there stays. Returns how many bytes there were.
    ///
    /// # Errors
    /// [`StoreError::CheckpointTooLarge`] beyond `max_bytes`, [`StoreError::Cut`] when `bytes` fails,
    /// [`StoreError::Busy`] when too much is being stored, or when the store fails.
    pub async fn put_checkpoint<E>(
        &self,
        run: &Run,
        attempt: u32,
        max_bytes: u64,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<u64, StoreError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let _turn = self.turns.wait(run).await?;
        let mut size = 0u64;
        let mut upload = Upload::begin(self, &checkpoint_path(run, attempt)).await?;
        let poured = upload.pour(bytes, |piece| {
            size += piece.len() as u64;
            if size > max_bytes { Err(StoreError::CheckpointTooLarge(max_bytes)) } else { Ok(()) }
        });
        let poured = poured.await;
        upload.end(poured).await?;
        self.keep_latest_checkpoint(run).await?;
        Ok(size)
    }

    /// The checkpoint of the latest attempt before `attempt` that made one; `None` when none did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn checkpoint_before(&self, run: &Run, attempt: u32) -> Result<Option<Checkpoint>, StoreError> {
        let attempts = self.list_checkpoints(run).await?;
        let Some(attempt) = attempts.into_iter().filter(|made| *made < attempt).max() else { return Ok(None) };
        let found = match self.objects.get(&checkpoint_path(run, attempt)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let size = found.meta.size;
        Ok(Some(Checkpoint { attempt, size, bytes: found.into_stream().map_err(StoreError::from).boxed() }))
    }

    async fn keep_latest_checkpoint(&self, run: &Run) -> Result<(), StoreError> {
        let attempts = self.list_checkpoints(run).await?;
        let latest = attempts.iter().copied().max();
        for attempt in attempts.into_iter().filter(|attempt| Some(*attempt) != latest) {
            self.remove(&checkpoint_path(run, attempt)).await?;
        }
        Ok(())
    }

    /// The attempts that have a checkpoint, in no order.
    async fn list_checkpoints(&self, run: &Run) -> Result<Vec<u32>, StoreError> {
        let objects = self.objects.list(Some(&checkpoints_path(run)));
        let attempts = objects.try_filter_map(|object| async move {
            Ok(object.location.filename().and_then(|name| name.parse::<u32>().ok()))
        });
        Ok(attempts.try_collect().await?)
    }
}

pub(crate) fn checkpoints_path(run: &Run) -> Path {
    run.folder().join("checkpoints")
}

fn checkpoint_path(run: &Run, attempt: u32) -> Path {
    checkpoints_path(run).join(format!("{attempt:010}"))
}

#[cfg(test)]
mod tests;
