//! Finding out whose bytes are stored, and removing them.

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use crate::{Run, Store, StoreError, checkpoints::checkpoints_path};

impl Store {
    /// The runs of which anything is stored, in no order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn runs(&self) -> Result<Vec<Run>, StoreError> {
        let mut runs = Vec::new();
        for namespace in self.folders(None).await? {
            for run in self.folders(Some(&namespace)).await? {
                // What else lies in the folder, for instance a file system's own, is nobody's run.
                let names = namespace.filename().zip(run.filename());
                runs.extend(names.and_then(|(namespace, uid)| Run::new(namespace, uid).ok()));
            }
        }
        Ok(runs)
    }

    /// Removes all that a run has stored, and returns how many bytes that were. What a failure or a crash leaves of it
    /// is found again by [`Store::runs`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_run(&self, run: &Run) -> Result<u64, StoreError> {
        let bytes = self.remove_beneath(&run.folder()).await?;
        self.tails.forget(run);
        Ok(bytes)
    }

    /// Removes the checkpoints of a run, which nobody goes on from any more, and returns how many bytes that were.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_checkpoints(&self, run: &Run) -> Result<u64, StoreError> {
        self.remove_beneath(&checkpoints_path(run)).await
    }

    async fn remove_beneath(&self, folder: &Path) -> Result<u64, StoreError> {
        let mut bytes = 0;
        let mut objects = self.objects.list(Some(folder));
        while let Some(object) = objects.try_next().await? {
            self.remove(&object.location).await?;
            bytes += object.size;
        }
        Ok(bytes)
    }

    /// Removes an object, if it is there.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match self.objects.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The folders in a folder, or in the whole store.
    pub(crate) async fn folders(&self, folder: Option<&Path>) -> Result<Vec<Path>, StoreError> {
        match self.objects.list_with_delimiter(folder).await {
            Ok(listed) => Ok(listed.common_prefixes),
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
