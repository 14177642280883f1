//! Opening beneath the workspace, and nowhere else.
//!
//! The agent owns the workspace and may still be running, so a path means nothing between two looks at it: each file
//! is opened by the kernel under the rule that the path stays beneath the workspace and contains no link, and is
//! judged only once it is open.

use std::{ffi::OsStr, fs::File, io, path::Path};

use rustix::{
    fd::OwnedFd,
    fs::{FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

/// The agent's working directory.
#[derive(Debug)]
pub(super) struct Workspace {
    root: OwnedFd,
}

impl Workspace {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Opens a folder; the empty path is the workspace itself.
    pub(super) fn folder(&self, path: &OsStr) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { OsStr::new(".") } else { path };
        self.beneath(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens a regular file and says how long it is, or says why not, as the end of a sentence.
    pub(super) fn file(&self, path: &str) -> Result<(File, u64), String> {
        // Not to wait for the other end of a FIFO.
        let file = self.beneath(OsStr::new(path), OFlags::RDONLY | OFlags::NONBLOCK).map_err(explain)?;
        let stat = rustix::fs::fstat(&file).map_err(explain)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(NOT_REGULAR.to_owned());
        }
        Ok((file.into(), u64::try_from(stat.st_size).unwrap_or(0)))
    }

    fn beneath(&self, path: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
    }
}

/// Said of what is a FIFO, a socket or a device.
pub(super) const NOT_REGULAR: &str = "it is not a regular file";
/// Said of links.
pub(super) const LINK: &str = "it is a symbolic link, and links are not followed";

/// Why something cannot be opened, as the end of a sentence.
pub(super) fn explain(error: Errno) -> String {
    match error {
        Errno::LOOP => LINK.to_owned(),
        Errno::XDEV => "it leads out of the working directory".to_owned(),
        Errno::NXIO => NOT_REGULAR.to_owned(),
        Errno::NOENT => "it is gone".to_owned(),
        Errno::ACCESS | Errno::PERM => "the broker may not read it; the agent must leave it readable".to_owned(),
        Errno::NOSYS => "the node's kernel has no openat2, which is needed to read it safely".to_owned(),
        other => format!("it cannot be opened: {other}"),
    }
}

#[cfg(test)]
mod tests;
