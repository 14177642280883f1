//! How much room there is where objects are kept.

use std::path::{Path, PathBuf};

/// The part of the disk that uploads leave free, as a divisor.
const SHARE: u64 = 20;
/// What they leave free at most, in bytes.
const MOST: u64 = 256 * 1024 * 1024;

/// The file system of a store's folder.
///
/// What is large must not take the last of its room: an artifact or a checkpoint that is refused can be sent again, but
/// a log that finds no room is cut for good, and it may be that of another tenant.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    most: u64,
    share: u64,
}

impl Disk {
    pub(crate) fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), most: MOST, share: SHARE }
    }

    /// One of which uploads may take nothing.
    #[cfg(test)]
    pub(crate) fn for_logs_only(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), most: u64::MAX, share: 1 }
    }

    /// Whether uploads may take more of it.
    pub(crate) fn has_room(&self) -> bool {
        // Where nobody can tell, the write itself finds out.
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return true };
        let (free, all) = (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
        free >= (all / self.share).min(self.most)
    }
}
