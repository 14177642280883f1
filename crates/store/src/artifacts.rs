//! Artifacts: one object each, which begins with a line that says what the file is called and what its checksum is.
//! So name, checksum and bytes appear together and are replaced together.

use std::{fmt, str::FromStr};

use bytes::{Bytes, BytesMut};
use drover_api::report::Artifact;
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, path::Path};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{ArtifactName, Run, Store, StoreError, upload::Upload};

/// The longest first line, in bytes: a name whose every byte is escaped, and room for the rest.
const MAX_HEADER: usize = 2048;

/// The SHA-256 checksum of some bytes. Written as lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// A checksum that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The checksum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a run may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The bytes of one artifact.
    pub artifact_bytes: u64,
    /// The bytes of all artifacts of the run together.
    pub run_bytes: u64,
    /// How many artifacts.
    pub artifacts: usize,
}

/// What the first line of an artifact's object says.
#[derive(Serialize, Deserialize)]
struct Header {
    name: String,
    sha256: String,
}

impl Header {
    fn to_line(&self) -> Bytes {
        let mut line = serde_json::to_vec(self).expect("two texts can be written as JSON");
        line.push(b'\n');
        line.into()
    }
}

/// An artifact that is being read.
pub struct ArtifactReader {
    /// What it is.
    pub artifact: Artifact,
    /// Its bytes.
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

impl fmt::Debug for ArtifactReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactReader").field("artifact", &self.artifact).finish_non_exhaustive()
    }
}

impl Store {
    /// Stores an artifact in place of one with the same name, after all of it has come and has the checksum announced.
    /// Memory is bounded whatever its size, and however many are stored at once. Where anything goes wrong, or the future
    /// is dropped, what was there stays. The one that is replaced does not count for the bounds.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::RunFull`] and [`StoreError::TooMany`] beyond the bounds,
    /// [`StoreError::Mismatch`] for other bytes than announced, [`StoreError::Cut`] when `bytes` fails,
    /// [`StoreError::Busy`] when too many artifacts are being stored, or when the store fails.
    pub async fn put_artifact<E>(
        &self,
        run: &Run,
        name: &ArtifactName,
        announced: Digest,
        bounds: Bounds,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Artifact, StoreError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let _turn = self.turns.wait(run).await?;
        let room = self.room(run, name, bounds).await?;
        let header = Header { name: name.to_string(), sha256: announced.to_string() };
        let mut upload = Upload::begin(self, &artifact_path(run, name)).await?;
        upload.put(header.to_line());
        let received = receive(&mut upload, announced, room, bytes).await;
        let size = upload.end(received).await?;
        Ok(Artifact { name: header.name, size, sha256: header.sha256 })
    }

    /// What is left of the bounds for an artifact of this name.
    async fn room(&self, run: &Run, name: &ArtifactName, bounds: Bounds) -> Result<Room, StoreError> {
        let path = artifact_path(run, name);
        let mut objects = self.objects.list(Some(&artifacts_path(run)));
        let (mut others, mut bytes) = (0, 0u64);
        while let Some(object) = objects.try_next().await? {
            if object.location != path {
                others += 1;
                bytes = bytes.saturating_add(object.size);
            }
        }
        if others >= bounds.artifacts {
            return Err(StoreError::TooMany(bounds.artifacts));
        }
        Ok(Room { bounds, left: bounds.run_bytes.saturating_sub(bytes) })
    }

    /// An artifact; `None` when the run has none of this name.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub async fn artifact(&self, run: &Run, name: &ArtifactName) -> Result<Option<ArtifactReader>, StoreError> {
        let path = artifact_path(run, name);
        let found = match self.objects.get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let size = found.meta.size;
        let mut bytes = found.into_stream();
        let mut head = BytesMut::new();
        while !head.contains(&b'\n') && head.len() < MAX_HEADER {
            let Some(part) = bytes.try_next().await? else { break };
            head.extend_from_slice(&part);
        }
        let (artifact, header) = describe(&head, size).ok_or(StoreError::Damaged(path))?;
        let rest = head.freeze().slice(header..);
        let bytes = futures::stream::once(async move { Ok(rest) }).chain(bytes.map_err(StoreError::from)).boxed();
        Ok(Some(ArtifactReader { artifact, bytes }))
    }

    /// The artifacts of a run, in the order of their names.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub async fn list_artifacts(&self, run: &Run) -> Result<Vec<Artifact>, StoreError> {
        let mut objects = self.objects.list(Some(&artifacts_path(run)));
        let mut artifacts = Vec::new();
        while let Some(object) = objects.try_next().await? {
            let head = GetOptions::new().with_range(Some(GetRange::Bounded(0..MAX_HEADER as u64)));
            let found = match self.objects.get_opts(&object.location, head).await {
                Ok(found) => found,
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let size = found.meta.size;
            let (artifact, _) = describe(&found.bytes().await?, size).ok_or(StoreError::Damaged(object.location))?;
            artifacts.push(artifact);
        }
        artifacts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(artifacts)
    }
}

/// How large an artifact may become.
struct Room {
    bounds: Bounds,
    /// What the run's other artifacts leave, in bytes.
    left: u64,
}

impl Room {
    fn check(&self, size: u64) -> Result<(), StoreError> {
        if size > self.bounds.artifact_bytes {
            return Err(StoreError::TooLarge(self.bounds.artifact_bytes));
        }
        if size > self.left {
            return Err(StoreError::RunFull(self.bounds.run_bytes));
        }
        Ok(())
    }
}

/// Passes the bytes on and returns how many there were, once they proved to be the announced ones.
async fn receive<E>(
    upload: &mut Upload,
    announced: Digest,
    room: Room,
    bytes: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<i64, StoreError>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut checksum = Sha256::new();
    let mut size = 0u64;
    let poured = upload.pour(bytes, |piece| {
        size += piece.len() as u64;
        checksum.update(piece);
        room.check(size)
    });
    poured.await?;
    let actual = Digest(checksum.finalize().into());
    if actual != announced {
        return Err(StoreError::Mismatch { announced, actual });
    }
    i64::try_from(size).map_err(|_| StoreError::TooLarge(i64::MAX.unsigned_abs()))
}

/// What an object that begins with `head` and has `size` bytes is, and how long its first line is.
fn describe(head: &[u8], size: u64) -> Option<(Artifact, usize)> {
    let end = head.iter().position(|b| *b == b'\n')?;
    let header: Header = serde_json::from_slice(&head[..end]).ok()?;
    let name = ArtifactName::from_str(&header.name).ok()?;
    let length = end + 1;
    let size = i64::try_from(size.checked_sub(length as u64)?).ok()?;
    Some((Artifact { name: name.to_string(), size, sha256: header.sha256 }, length))
}

fn artifacts_path(run: &Run) -> Path {
    run.folder().join("artifacts")
}

fn artifact_path(run: &Run, name: &ArtifactName) -> Path {
    artifacts_path(run).join(Digest::of(name.as_str().as_bytes()).to_string())
}

#[cfg(test)]
mod tests;
