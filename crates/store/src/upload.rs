//! Objects that come in pieces: stored whole or not at all, and with bounded memory.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use object_store::{ObjectStoreExt, WriteMultipart, path::Path};

use crate::{Store, StoreError, disk::Disk};

/// A directory takes parts of any size.
pub(crate) const PART: usize = 1024 * 1024;
/// How many parts of one upload are on their way at once. With the one being filled, an upload takes 2 MiB.
const PARTS_IN_FLIGHT: usize = 1;

/// An object that is being written. What was there before stays until [`Upload::end`], and when this is dropped.
#[derive(Debug)]
pub(crate) struct Upload {
    write: WriteMultipart,
    disk: Option<Arc<Disk>>,
}

impl Upload {
    pub(crate) async fn begin(store: &Store, path: &Path) -> Result<Self, StoreError> {
        let upload = store.objects.put_multipart(path).await?;
        Ok(Self { write: WriteMultipart::new_with_chunk_size(upload, PART), disk: store.disk.clone() })
    }

    /// Adds what is there already; for little.
    pub(crate) fn put(&mut self, bytes: Bytes) {
        self.write.put(bytes);
    }

    /// Adds all of a stream, after `accept` has agreed to each piece.
    ///
    /// # Errors
    /// That of `accept`, [`StoreError::Cut`] when `bytes` fails, [`StoreError::Full`] when only logs have room, or when the
    /// store fails.
    pub(crate) async fn pour<E>(
        &mut self,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send,
        mut accept: impl FnMut(&Bytes) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut bytes = std::pin::pin!(bytes);
        let mut unchecked = PART;
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(|error| StoreError::Cut(error.into()))?;
            accept(&piece)?;
            unchecked += piece.len();
            if unchecked >= PART {
                unchecked = 0;
                self.check_room()?;
            }
            self.write.wait_for_capacity(PARTS_IN_FLIGHT).await?;
            self.write.put(piece);
        }
        Ok(())
    }

    fn check_room(&self) -> Result<(), StoreError> {
        let has_room = self.disk.as_ref().is_none_or(|disk| disk.has_room());
        if has_room { Ok(()) } else { Err(StoreError::Full) }
    }

    /// Puts the object in its place if it is what it should be, and otherwise leaves nothing of it.
    pub(crate) async fn end<T>(self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match outcome {
            Ok(value) => {
                self.write.finish().await?;
                Ok(value)
            }
            Err(error) => {
                self.write.abort().await?;
                Err(error)
            }
        }
    }
}
