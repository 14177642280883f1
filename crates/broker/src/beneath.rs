//! Opening beneath a folder, and nowhere else.
//!
//! The agent owns its working directory and its home and may still be running, so a path means nothing between two
//! looks at it: each file is opened by the kernel under the rule that the path stays beneath the folder and contains
//! no link, and is judged only once it is open.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    path::Path,
};

use rustix::{
    fd::OwnedFd,
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

use crate::text::cut;

/// The longest path that is looked at, in bytes; the kernel takes no longer one.
pub(crate) const MAX_PATH: usize = 4_000;

/// A folder that nothing leads out of.
#[derive(Debug)]
pub(crate) struct Root {
    root: OwnedFd,
}

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Opens a folder; the empty path is the root itself.
    pub(crate) fn folder(&self, path: &OsStr) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { OsStr::new(".") } else { path };
        self.beneath(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens a regular file, or says why not, as the end of a sentence.
    pub(crate) fn file(&self, path: &OsStr) -> Result<(File, Stat), String> {
        // Not to wait for the other end of a FIFO.
        let file = self.beneath(path, OFlags::RDONLY | OFlags::NONBLOCK).map_err(explain)?;
        let stat = rustix::fs::fstat(&file).map_err(explain)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(NOT_REGULAR.to_owned());
        }
        Ok((file.into(), stat))
    }

    fn beneath(&self, path: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
    }
}

/// How long a file is.
pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Said of what is a FIFO, a socket or a device.
pub(crate) const NOT_REGULAR: &str = "it is not a regular file";
/// Said of links.
pub(crate) const LINK: &str = "it is a symbolic link, and links are not followed";

/// Why something cannot be opened, as the end of a sentence.
pub(crate) fn explain(error: Errno) -> String {
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

/// A path in a sentence.
pub(crate) fn show(path: &OsStr) -> String {
    let text: String = path.to_string_lossy().chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if text.len() <= 128 { text } else { format!("{}…", cut(&text, 125)) }
}

/// The path of `name` in `folder`, which is empty for the root itself.
pub(crate) fn join(folder: &OsStr, name: &OsStr) -> OsString {
    let mut path = folder.to_owned();
    if !path.is_empty() {
        path.push("/");
    }
    path.push(name);
    path
}

#[cfg(test)]
mod tests;
