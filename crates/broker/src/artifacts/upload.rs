//! Storing one file.

use std::{
    ffi::OsStr,
    fmt::Write,
    fs::File,
    io::{self, Read, Seek},
    sync::Arc,
    time::Duration,
};

use drover_api::report::Artifact;
use reqwest::StatusCode;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    backoff::Backoff,
    beneath::{self, Root},
    gateway::{Failure, Upload},
};

/// How often a file is read again because it was changed while it was sent.
const MAX_CHANGES: u32 = 2;
/// How long a full store is given to get room, for all files of a run together.
const FULL_STORE: Duration = Duration::from_secs(60);

/// Until when a full store is waited for; begins with the first file that finds it full.
#[derive(Debug, Default)]
pub(super) struct Patience(Option<Instant>);

impl Patience {
    fn is_over(&mut self) -> bool {
        let now = Instant::now();
        now >= *self.0.get_or_insert(now + FULL_STORE)
    }
}

/// Stores the file `name` by means of `put`, or says why not, as the end of a sentence.
///
/// Each try opens and reads the file anew: what is announced is always what the try sends. A gateway that does not
/// answer, or refuses what it may take later, is asked for ever: the caller bounds the time.
pub(super) async fn store(
    put: impl AsyncFn(Upload) -> Result<Artifact, Failure>,
    workspace: &Arc<Root>,
    name: &str,
    patience: &mut Patience,
) -> Result<Artifact, String> {
    let (mut changes, mut backoff) = (0, Backoff::new());
    loop {
        let upload = read(Arc::clone(workspace), name.to_owned()).await?;
        let (size, sha256) = (upload.size, upload.sha256);
        let failure = match put(upload).await {
            Ok(artifact) => return confirm(artifact, name, size, &sha256),
            Err(failure) => failure,
        };
        tracing::warn!(artifact = name, error = %failure, "an artifact was not stored");
        let wait = match failure.status() {
            Some(StatusCode::PAYLOAD_TOO_LARGE) => return Err(too_large(&failure, size)),
            Some(StatusCode::INSUFFICIENT_STORAGE) if patience.is_over() => return Err(failure.reason()),
            Some(StatusCode::UNPROCESSABLE_ENTITY) => {
                changes += 1;
                if changes > MAX_CHANGES {
                    return Err("it changed each time while it was sent".to_owned());
                }
                backoff.advance()
            }
            _ => failure.retry_in(&mut backoff).ok_or_else(|| failure.reason())?,
        };
        tokio::time::sleep(wait).await;
    }
}

fn too_large(failure: &Failure, size: u64) -> String {
    failure.detail().unwrap_or_else(|| format!("with {size} bytes it is larger than the platform keeps"))
}

/// The gateway's word and the broker's own must agree.
fn confirm(artifact: Artifact, name: &str, size: u64, sha256: &[u8; 32]) -> Result<Artifact, String> {
    let expected =
        Artifact { name: name.to_owned(), size: i64::try_from(size).unwrap_or(i64::MAX), sha256: hex(sha256) };
    if artifact == expected {
        return Ok(artifact);
    }
    tracing::error!(?artifact, ?expected, "the gateway stored something else");
    Err("the gateway confirmed other content than was sent".to_owned())
}

async fn read(workspace: Arc<Root>, name: String) -> Result<Upload, String> {
    let reading = tokio::task::spawn_blocking(move || {
        let (mut file, stat) = workspace.file(OsStr::new(&name))?;
        let (size, sha256) =
            digest(&mut file, beneath::size(&stat)).map_err(|error| format!("it cannot be read: {error}"))?;
        Ok(Upload { file: tokio::fs::File::from_std(file), size, sha256 })
    });
    reading.await.unwrap_or_else(|_| Err("reading it failed".to_owned()))
}

/// The checksum of the first `size` bytes, or of all when there are fewer, and how many they are. Leaves the file at
/// its first byte.
fn digest(file: &mut File, size: u64) -> io::Result<(u64, [u8; 32])> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut rest = Read::take(&mut *file, size);
    let mut length = 0;
    loop {
        let read = rest.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        length += read as u64;
    }
    file.rewind()?;
    Ok((length, digest.finalize().into()))
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
