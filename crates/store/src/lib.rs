//! The artifact store: the logs, artifacts and checkpoints of runs, as objects.
//!
//! ```text
//! <namespace>/<Session uid>/logs/<attempt>/<sequence of the first event>   lines of events, without gaps
//!                                          end                             nothing follows in this attempt
//!                           artifacts/<SHA-256 of the name>                a line about the file, then its bytes
//!                           checkpoints/<attempt>                          the bytes
//! ```
//!
//! An object appears whole or not at all, so a reader never sees half a chunk or an artifact whose checksum was not
//! verified. No text from outside becomes part of a path: names are hashed, everything else is checked first.
//! Memory is bounded whatever the size of a log, an artifact or a checkpoint.

mod artifacts;
mod checkpoints;
mod chunk;
mod directory;
mod disk;
mod logs;
mod name;
mod run;
mod sweeping;
mod tails;
mod turns;
mod upload;

use std::{error::Error, io, path::Path as FsPath, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path};

pub use artifacts::{ArtifactReader, Bounds, Digest};
pub use checkpoints::Checkpoint;
pub use chunk::{InvalidChunk, LogChunk, MAX_CHUNK};
pub use directory::remove_abandoned_uploads;
pub use logs::{Look, Page};
pub use name::{ArtifactName, InvalidName};
pub use run::{InvalidRun, Run};

/// Where logs, artifacts and checkpoints are kept. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    tails: Arc<tails::Tails>,
    turns: Arc<turns::Turns>,
    /// Where objects are kept, if it is known how much room there is.
    disk: Option<Arc<disk::Disk>>,
}

/// How much [`Store::probe`] writes, in bytes: more than one block, so that a disk without room is found out.
const PROBE: usize = 16 * 1024;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder of a store cannot be opened.
    #[error("the folder {0} of the artifact store cannot be opened")]
    Directory(String, #[source] Box<dyn Error + Send + Sync>),
    /// The store below failed.
    #[error("the artifact store failed")]
    Objects(#[from] object_store::Error),
    /// What is stored is not what was once written there.
    #[error("{0} in the artifact store is damaged")]
    Damaged(Path),
    /// Events are missing before the ones to store, or others are stored in their place.
    #[error("the next event of this log has the sequence {0}")]
    NotNext(u64),
    /// The log of the attempt is as long as allowed.
    #[error("the log has reached the {0} bytes that are allowed")]
    LogFull(u64),
    /// The bytes are not the announced ones.
    #[error("the bytes have the SHA-256 checksum {actual}, but {announced} was announced")]
    Mismatch {
        /// What was announced.
        announced: Digest,
        /// What the bytes have.
        actual: Digest,
    },
    /// There are more bytes than allowed.
    #[error("the artifact is larger than the {0} bytes that are allowed")]
    TooLarge(u64),
    /// With it the run's artifacts would be larger together than allowed.
    #[error("with this artifact the run keeps more than the {0} bytes that are allowed")]
    RunFull(u64),
    /// The run has as many artifacts as allowed.
    #[error("a run keeps at most {0} artifacts")]
    TooMany(usize),
    /// There are more bytes of a checkpoint than allowed.
    #[error("the checkpoint is larger than the {0} bytes that are allowed")]
    CheckpointTooLarge(u64),
    /// What room there is is left to logs.
    #[error("the artifact store has no room left but for logs")]
    Full,
    /// So many artifacts and checkpoints are being stored that this one did not get its turn.
    #[error("too many artifacts and checkpoints are being stored at once")]
    Busy,
    /// The sender broke off.
    #[error("the bytes broke off")]
    Cut(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// Whether there is no room left where objects are kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        if matches!(self, Self::Full) {
            return true;
        }
        let first: &(dyn Error + 'static) = self;
        std::iter::successors(Some(first), |error| (*error).source())
            .filter_map(|error| error.downcast_ref::<io::Error>())
            .any(|error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

impl Store {
    /// A store in a folder, which is made if it does not exist. Writes are on the disk when they return. Folders go with
    /// the last object in them. Artifacts and checkpoints leave some room on the disk to logs.
    ///
    /// # Errors
    /// When the folder cannot be made or opened.
    pub fn directory(path: &FsPath) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Directory(path.display().to_string(), source);
        std::fs::create_dir_all(path).map_err(|error| failed(error.into()))?;
        let objects = LocalFileSystem::new_with_prefix(path).map_err(|error| failed(error.into()))?;
        let store = Self::new(Arc::new(objects.with_fsync(true).with_automatic_cleanup(true)));
        Ok(Self { disk: Some(Arc::new(disk::Disk::of(path))), ..store })
    }

    /// A store over any object store.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, tails: Arc::default(), turns: Arc::default(), disk: None }
    }

    /// Finds out whether objects can be written and removed, and whether there is room for some.
    ///
    /// # Errors
    /// When they cannot.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let probe = Path::from("probe");
        self.objects.put(&probe, PutPayload::from(Bytes::from_static(&[0; PROBE]))).await?;
        Ok(self.objects.delete(&probe).await?)
    }
}
