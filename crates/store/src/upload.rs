//! Objects that come in pieces: stored whole or not at all, and with bounded memory.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart, path::Path};

use crate::StoreError;

/// A directory takes parts of any size.
pub(crate) const PART: usize = 1024 * 1024;
/// How many parts of one upload are on their way at once. With the one being filled, an upload takes 2 MiB.
const PARTS_IN_FLIGHT: usize = 1;

/// An object that is being written. What was there before stays until [`Upload::end`], and when this is dropped.
#[derive(Debug)]
pub(crate) struct Upload(WriteMultipart);

impl Upload {
    pub(crate) async fn begin(objects: &dyn ObjectStore, path: &Path) -> Result<Self, StoreError> {
        let upload = objects.put_multipart(path).await?;
        Ok(Self(WriteMultipart::new_with_chunk_size(upload, PART)))
    }

    /// Adds what is there already; for little.
    pub(crate) fn put(&mut self, bytes: Bytes) {
        self.0.put(bytes);
    }

    /// Adds all of a stream, after `accept` has agreed to each piece.
    ///
    /// # Errors
    /// That of `accept`, [`StoreError::Cut`] when `bytes` fails, or when the store does.
    pub(crate) async fn pour<E>(
        &mut self,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send,
        mut accept: impl FnMut(&Bytes) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut bytes = std::pin::pin!(bytes);
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(|error| StoreError::Cut(error.into()))?;
            accept(&piece)?;
            self.0.wait_for_capacity(PARTS_IN_FLIGHT).await?;
            self.0.put(piece);
        }
        Ok(())
    }

    /// Puts the object in its place if it is what it should be, and otherwise leaves nothing of it.
    pub(crate) async fn end<T>(self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match outcome {
            Ok(value) => {
                self.0.finish().await?;
                Ok(value)
            }
            Err(error) => {
                self.0.abort().await?;
                Err(error)
            }
        }
    }
}
