//! Taking a checkpoint back.
//!
//! The archive comes from the store and is not believed: each entry is made in a folder that the kernel found beneath
//! its root without a link on the way, and never through what has its name already. What no checkpoint holds is not
//! skipped: an archive with such an entry is not one.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT},
    io::Errno,
};
use tar::{Archive, EntryType};

use super::pack::{BLOCK, padded};
use crate::{
    beneath::{Root, show},
    state,
};

/// How many bytes the paths of folders have whose modes are set in the end.
const MAX_CLOSED: usize = 4 * 1024 * 1024;
/// The longest path, the name of its root included, or target of a link: what the kernel takes, of which the agent's
/// links may use all.
const MAX_TEXT: u64 = 4096;

/// Why a checkpoint cannot be taken back, as the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    #[error("it cannot be read as an archive: {0}")]
    Archive(#[from] io::Error),
    #[error("it ends in the middle")]
    CutOff,
    #[error("it has no state of the conversation")]
    NoState,
    #[error("it holds {0}, which no checkpoint of Drover does")]
    Foreign(String),
    #[error("{path} cannot be written: {source}")]
    Write { path: String, source: Errno },
}

/// Unpacks an archive into the roots, each of which has its name in it, and gives the state that it holds. Can be done
/// again over what an interrupted one left.
///
/// # Errors
/// When it is not a whole checkpoint, or cannot be written. What is in the roots then is of no use.
pub(super) fn unpack(archive: impl Read, roots: &[(&str, &Path)]) -> Result<Vec<u8>, UnpackError> {
    let mut unpacker = Unpacker { roots: Vec::new(), closed: Vec::new(), closed_bytes: 0 };
    for (name, path) in roots {
        unpacker.roots.push((OsString::from(name), Root::open(path)?));
    }
    let mut archive = Archive::new(Counted { inner: archive, position: 0 });
    let (mut state, mut end) = (None, 0);
    let (mut long_path, mut long_target) = (None, None);
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let (kind, size) = (entry.header().entry_type(), entry.size());
        end = entry.raw_file_position() + padded(size);
        match kind {
            EntryType::GNULongName => long_path = Some(long(&mut entry, size)?),
            EntryType::GNULongLink => long_target = Some(long(&mut entry, size)?),
            _ => {
                let path = long_path.take().unwrap_or_else(|| OsString::from_vec(entry.path_bytes().into_owned()));
                let target = long_target.take();
                if state.is_none() {
                    state = Some(read_state(&mut entry, kind, &path)?);
                } else {
                    unpacker.entry(&mut entry, kind, &path, target)?;
                }
            }
        }
    }
    if archive.into_inner().position < end + BLOCK {
        return Err(UnpackError::CutOff);
    }
    unpacker.close_folders()?;
    state.ok_or(UnpackError::NoState)
}

/// A path or target that was too long for its entry's header.
fn long(entry: &mut impl Read, size: u64) -> Result<OsString, UnpackError> {
    if size > MAX_TEXT + 1 {
        return Err(UnpackError::Foreign(format!("a name of {size} bytes")));
    }
    let mut text = Vec::new();
    entry.take(size).read_to_end(&mut text)?;
    if text.last() == Some(&0) {
        text.pop();
    }
    Ok(OsString::from_vec(text))
}

/// The first entry.
fn read_state(entry: &mut impl Read, kind: EntryType, path: &OsStr) -> Result<Vec<u8>, UnpackError> {
    if path != state::FILE || kind != EntryType::Regular {
        return Err(UnpackError::NoState);
    }
    let mut bytes = Vec::new();
    entry.take(state::MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

struct Unpacker {
    roots: Vec<(OsString, Root)>,
    /// Folders that nothing could be written into once they had their modes: root, path, mode.
    closed: Vec<(usize, OsString, Mode)>,
    closed_bytes: usize,
}

impl Unpacker {
    fn entry<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        kind: EntryType,
        path: &OsStr,
        target: Option<OsString>,
    ) -> Result<(), UnpackError> {
        let foreign = || UnpackError::Foreign(show(path));
        let (root, within, folder, name) = self.place(path).ok_or_else(foreign)?;
        let written = |source| UnpackError::Write { path: show(path), source };
        let folder = match self.roots[root].1.folder(folder) {
            // A link, or something that is no folder, on the way.
            Err(Errno::LOOP | Errno::XDEV | Errno::NOTDIR | Errno::NOENT) => return Err(foreign()),
            folder => folder.map_err(written)?,
        };
        let mode = Mode::from_raw_mode(entry.header().mode()? & 0o777);
        match kind {
            EntryType::Directory => {
                make_folder(&folder, name, mode | Mode::RWXU).map_err(written)?;
                self.close_later(root, within, mode);
            }
            EntryType::Regular => {
                let file = make_file(&folder, name).map_err(written)?;
                copy(entry, file, mode, path)?;
            }
            EntryType::Symlink => {
                let in_header = || entry.link_name_bytes().map(|target| OsString::from_vec(target.into_owned()));
                let target = target.or_else(in_header).ok_or_else(foreign)?;
                remove(&folder, name).map_err(written)?;
                rustix::fs::symlinkat(&*target, &folder, name).map_err(written)?;
            }
            _ => return Err(foreign()),
        }
        Ok(())
    }

    /// Which root, the path in it, the folder of that path, and its last name; unless it is no path of a checkpoint.
    fn place<'a>(&self, path: &'a OsStr) -> Option<(usize, &'a OsStr, &'a OsStr, &'a OsStr)> {
        let bytes = path.as_bytes();
        let names = |bytes: &'a [u8]| bytes.split(|byte| *byte == b'/');
        if bytes.contains(&0) || names(bytes).any(|name| matches!(name, b"" | b"." | b"..")) {
            return None;
        }
        let slash = bytes.iter().position(|byte| *byte == b'/')?;
        let (root, within) = (&bytes[..slash], &bytes[slash + 1..]);
        let root = self.roots.iter().position(|(name, _)| name.as_bytes() == root)?;
        let (folder, name) = match within.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&within[..slash], &within[slash + 1..]),
            None => (&within[..0], within),
        };
        Some((root, OsStr::from_bytes(within), OsStr::from_bytes(folder), OsStr::from_bytes(name)))
    }

    /// Remembers a mode that would be in the way of what follows. Beyond a bound folders stay open to their owner.
    fn close_later(&mut self, root: usize, path: &OsStr, mode: Mode) {
        if !mode.contains(Mode::RWXU) && self.closed_bytes + path.len() <= MAX_CLOSED {
            self.closed_bytes += path.len();
            self.closed.push((root, path.to_owned(), mode));
        }
    }

    /// From behind, so that a folder is closed after those in it.
    fn close_folders(&mut self) -> Result<(), UnpackError> {
        for (root, path, mode) in self.closed.drain(..).rev() {
            let folder = self.roots[root].1.folder(&path);
            folder
                .and_then(|folder| rustix::fs::fchmod(folder, mode))
                .map_err(|source| UnpackError::Write { path: show(&path), source })?;
        }
        Ok(())
    }
}

/// A folder may be there already, from an unpacking that was interrupted.
fn make_folder(folder: &OwnedFd, name: &OsStr, mode: Mode) -> Result<(), Errno> {
    match rustix::fs::mkdirat(folder, name, mode) {
        Err(Errno::EXIST) => {
            let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                return rustix::fs::fchmod(rustix::fs::openat(folder, name, flags, Mode::empty())?, mode);
            }
            remove(folder, name)?;
            rustix::fs::mkdirat(folder, name, mode)
        }
        made => made,
    }
}

/// An empty file that nobody else has open, whatever had its name before.
fn make_file(folder: &OwnedFd, name: &OsStr) -> Result<File, Errno> {
    remove(folder, name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?.into())
}

fn remove(folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR),
        removed => removed,
    }
}

fn copy<R: Read>(entry: &mut tar::Entry<'_, R>, mut file: File, mode: Mode, path: &OsStr) -> Result<(), UnpackError> {
    let (size, mtime) = (entry.size(), entry.header().mtime()?);
    let copied = io::copy(entry, &mut file).map_err(|error| match error.raw_os_error() {
        // Only the file is the system's: the archive comes over a channel.
        Some(code) => UnpackError::Write { path: show(path), source: Errno::from_raw_os_error(code) },
        None => UnpackError::Archive(error),
    })?;
    if copied != size {
        return Err(UnpackError::CutOff);
    }
    let written = |source| UnpackError::Write { path: show(path), source };
    let last_modification = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(0), tv_nsec: 0 };
    let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification };
    rustix::fs::futimens(file.as_fd(), &times).map_err(written)?;
    rustix::fs::fchmod(file.as_fd(), mode).map_err(written)
}

/// Knows how much was read.
struct Counted<R> {
    inner: R,
    position: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.position += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
