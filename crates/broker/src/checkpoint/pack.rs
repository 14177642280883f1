//! Making a checkpoint out of what is there.
//!
//! The agent owns what is packed, and may have left anything there: nothing is followed, nothing is waited for, and of
//! what is looked at only a bounded part is held in memory. Kept are regular files, folders and links, with their
//! modes. A FIFO, a socket or a device holds nothing that could be kept.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rustix::fs::{AtFlags, Dir, FileType, Stat};
use tar::{Builder, EntryType, Header};

use super::left_out::LeftOut;
use crate::{
    beneath::{self, MAX_PATH, Root, join, show},
    state,
};

/// Of what a tar archive consists.
pub(super) const BLOCK: u64 = 512;
/// The end of an archive.
const END: u64 = 2 * BLOCK;
/// The longest path or target of a link that fits in a header.
const MAX_IN_HEADER: usize = 100;
/// How many bytes the paths of the folders have that are still to be packed.
const MAX_PENDING: usize = 4 * 1024 * 1024;

/// Writes a checkpoint of at most `most` bytes to `out`: the state, and what is in the roots, each under its name.
///
/// # Errors
/// When it cannot be written, or a root cannot be opened. What is in a root and cannot be read is left out.
pub(super) fn pack<W: Write>(out: W, state: &[u8], roots: &[(&str, &Path)], most: u64) -> io::Result<(W, LeftOut)> {
    let mut packer = Packer { tar: Builder::new(out), room: most.saturating_sub(END), left_out: LeftOut::new(most) };
    let entry = Entry { path: OsStr::new(state::FILE), kind: EntryType::Regular, mode: 0o600, mtime: 0, target: None };
    // Small, and without it nothing else is of use: never left out.
    packer.room = packer.room.saturating_sub(entry.cost(state.len() as u64));
    packer.put(&entry, state.len() as u64, state)?;
    for (name, path) in roots {
        packer.root(name, &Root::open(path)?)?;
    }
    Ok((packer.tar.into_inner()?, packer.left_out))
}

struct Packer<W: Write> {
    tar: Builder<W>,
    /// How many bytes may still be written.
    room: u64,
    left_out: LeftOut,
}

/// What a header says.
struct Entry<'a> {
    path: &'a OsStr,
    kind: EntryType,
    mode: u32,
    mtime: u64,
    target: Option<&'a OsStr>,
}

impl Entry<'_> {
    /// How many bytes it takes in the archive, with content of `size` bytes.
    fn cost(&self, size: u64) -> u64 {
        let long = |text: &OsStr| if text.len() > MAX_IN_HEADER { BLOCK + padded(text.len() as u64 + 1) } else { 0 };
        long(self.path) + self.target.map_or(0, long) + BLOCK + padded(size)
    }
}

/// With what follows it up to a whole block.
pub(super) fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK).saturating_mul(BLOCK)
}

impl<W: Write> Packer<W> {
    /// Packs what is in a root, under `name`.
    fn root(&mut self, name: &str, root: &Root) -> io::Result<()> {
        let (mut pending, mut pending_bytes) = (vec![OsString::new()], 0);
        while let Some(folder) = pending.pop() {
            pending_bytes -= folder.len();
            let Ok(mut dir) = root.folder(&folder).and_then(Dir::new) else {
                self.left_out.unreadable(show(&join(OsStr::new(name), &folder)));
                continue;
            };
            while let Some(entry) = dir.read() {
                let Ok(entry) = entry else {
                    self.left_out.unreadable(show(&join(OsStr::new(name), &folder)));
                    break;
                };
                let entry = OsStr::from_bytes(entry.file_name().to_bytes());
                if entry == "." || entry == ".." {
                    continue;
                }
                let path = join(&folder, entry);
                let is_folder = self.entry(name, root, &dir, entry, &path)?;
                if is_folder && pending_bytes + path.len() <= MAX_PENDING {
                    pending_bytes += path.len();
                    pending.push(path);
                } else if is_folder {
                    self.left_out.too_large(show(&join(OsStr::new(name), &path)));
                }
            }
        }
        Ok(())
    }

    /// Packs what is at `path`, the entry `name` of `dir`; whether it is a folder that is to be looked into.
    fn entry(&mut self, root_name: &str, root: &Root, dir: &Dir, name: &OsStr, path: &OsStr) -> io::Result<bool> {
        let full = join(OsStr::new(root_name), path);
        let stat = dir.fd().and_then(|fd| rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW));
        let Some(stat) = stat.ok().filter(|_| path.len() <= MAX_PATH) else {
            self.left_out.unreadable(show(&full));
            return Ok(false);
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let entry = entry(&full, EntryType::Directory, &stat);
                Ok(self.has_room(&entry, 0) && self.put(&entry, 0, io::empty()).map(|()| true)?)
            }
            FileType::RegularFile => match root.file(path) {
                Ok((file, stat)) => self.file(&full, file, &stat).map(|()| false),
                Err(_) => {
                    self.left_out.unreadable(show(&full));
                    Ok(false)
                }
            },
            FileType::Symlink => {
                let target = dir.fd().and_then(|fd| rustix::fs::readlinkat(fd, name, Vec::new()));
                match target {
                    Ok(target) => {
                        let target = OsStr::from_bytes(target.as_bytes());
                        let entry = Entry { target: Some(target), ..entry(&full, EntryType::Symlink, &stat) };
                        if self.has_room(&entry, 0) {
                            self.put(&entry, 0, io::empty())?;
                        }
                    }
                    Err(_) => self.left_out.unreadable(show(&full)),
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn file(&mut self, path: &OsStr, file: File, stat: &Stat) -> io::Result<()> {
        let size = beneath::size(stat);
        let entry = entry(path, EntryType::Regular, stat);
        if !self.has_room(&entry, size) {
            return Ok(());
        }
        let mut content = Exactly { file, left: size, short: false };
        self.put(&entry, size, &mut content)?;
        if content.short {
            self.left_out.changed(show(path));
        }
        Ok(())
    }

    /// Takes the room that an entry needs, if there is so much.
    fn has_room(&mut self, entry: &Entry, size: u64) -> bool {
        match self.room.checked_sub(entry.cost(size)) {
            Some(room) => self.room = room,
            None => {
                self.left_out.too_large(show(entry.path));
                return false;
            }
        }
        true
    }

    fn put(&mut self, entry: &Entry, size: u64, content: impl Read) -> io::Result<()> {
        let Entry { path, kind, mode, mtime, target } = entry;
        let mut header = Header::new_gnu();
        for (text, long) in [(Some(*path), EntryType::GNULongName), (*target, EntryType::GNULongLink)] {
            let Some(text) = text else { continue };
            if text.len() > MAX_IN_HEADER {
                self.put_long(text, long)?;
            }
            let Some(fields) = header.as_gnu_mut() else { continue };
            let field = if long == EntryType::GNULongName { &mut fields.name } else { &mut fields.linkname };
            let length = text.len().min(field.len());
            field[..length].copy_from_slice(&text.as_bytes()[..length]);
        }
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_mtime(*mtime);
        header.set_size(size);
        header.set_cksum();
        self.tar.append(&header, content)
    }

    /// What GNU's tar puts before an entry whose path or target is too long for its header.
    fn put_long(&mut self, text: &OsStr, kind: EntryType) -> io::Result<()> {
        let mut header = Header::new_gnu();
        let name = b"././@LongLink";
        if let Some(fields) = header.as_gnu_mut() {
            fields.name[..name.len()].copy_from_slice(name);
        }
        header.set_entry_type(kind);
        header.set_size(text.len() as u64 + 1);
        header.set_cksum();
        self.tar.append(&header, text.as_bytes().chain(&[0][..]))
    }
}

fn entry<'a>(path: &'a OsStr, kind: EntryType, stat: &Stat) -> Entry<'a> {
    Entry { path, kind, mode: stat.st_mode & 0o777, mtime: u64::try_from(stat.st_mtime).unwrap_or(0), target: None }
}

/// As many bytes as were announced, whatever becomes of the file meanwhile: zeros for what is missing.
struct Exactly {
    file: File,
    left: u64,
    short: bool,
}

impl Read for Exactly {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let into = &mut into[..most];
        let mut length = if self.short { 0 } else { self.file.read(into).unwrap_or(0) };
        if length == 0 {
            self.short |= most > 0;
            into.fill(0);
            length = most;
        }
        self.left -= length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
