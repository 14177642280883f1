//! Files that come from somewhere else, kept safely beneath a folder.
//!
//! Names are the agent's, so they are not trusted: each is walked folder by folder from an open descriptor, and no
//! symbolic link is followed on the way, whoever puts one there meanwhile. A file appears under its name only when it
//! is whole and its checksum is right.

use std::{
    fs::File,
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use drover_api::report::Artifact;
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags},
    io::Errno,
};
use sha2::{Digest, Sha256};

/// Why a file was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The name leads out of the folder, or is no name.
    #[error("artifact {0:?} has a name that is not safe here; write it to standard output instead, with --to -")]
    Name(String),
    /// Something has that name.
    #[error("{} exists already: use --force to overwrite it, or --to for another folder", .0.display())]
    Exists(PathBuf),
    /// Something other than a folder is in the way.
    #[error("{} is not a folder, or a symbolic link, which is not followed", .0.display())]
    NotAFolder(PathBuf),
    /// The system refuses.
    #[error("{} cannot be written: {}", .0.display(), .1)]
    Io(PathBuf, #[source] std::io::Error),
    /// Other bytes than were announced.
    #[error("artifact {0:?} arrived damaged: its checksum or size is not what the gateway announced; try again")]
    Damaged(String),
}

/// The folder beneath which files are kept.
pub(crate) struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens the folder, and makes it if it does not exist.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::Io(path.to_owned(), error);
        std::fs::create_dir_all(path).map_err(failed)?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        Ok(Self { descriptor, path: path.to_owned() })
    }

    /// Begins a file for an artifact. What exists under its name is replaced only with `force`.
    pub(crate) fn create(&self, name: &str, force: bool) -> Result<PartFile, Error> {
        let mut components = components(name).ok_or_else(|| Error::Name(name.to_owned()))?;
        let leaf = components.pop().ok_or_else(|| Error::Name(name.to_owned()))?;
        let mut path = self.path.clone();
        let mut folder = self.descriptor.try_clone().map_err(|error| Error::Io(path.clone(), error))?;
        for component in components {
            path.push(component);
            folder = enter(&folder, component, &path)?;
        }
        path.push(leaf);
        check_free(&folder, leaf, force, &path)?;
        let part = format!(".{}.part-{}", &leaf[..leaf.floor_char_boundary(200)], std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, &part, flags, Mode::from_raw_mode(0o666))
            .map_err(|error| Error::Io(path.clone(), error.into()))?;
        Ok(PartFile {
            file: File::from(file),
            folder,
            part,
            leaf: leaf.to_owned(),
            path,
            force,
            digest: Checksum::default(),
        })
    }
}

/// The components of a relative path; `None` where one of them could lead elsewhere.
fn components(name: &str) -> Option<Vec<&str>> {
    let safe = |component: &&str| !matches!(*component, "" | "." | "..") && !component.contains(char::is_control);
    let components: Vec<&str> = name.split('/').collect();
    components.iter().all(safe).then_some(components)
}

/// Opens a folder within a folder, and makes it if it does not exist.
fn enter(folder: &OwnedFd, name: &str, path: &Path) -> Result<OwnedFd, Error> {
    let failed = |error: Errno| Error::Io(path.to_owned(), error.into());
    match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(failed(error)),
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(descriptor) => Ok(descriptor),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(Error::NotAFolder(path.to_owned())),
        Err(error) => Err(failed(error)),
    }
}

/// Says early what would only fail after the download.
fn check_free(folder: &OwnedFd, leaf: &str, force: bool, path: &Path) -> Result<(), Error> {
    match rustix::fs::statat(folder, leaf, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(Error::Io(path.to_owned(), error.into())),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
            Err(Error::Io(path.to_owned(), Errno::ISDIR.into()))
        }
        Ok(_) if force => Ok(()),
        Ok(_) => Err(Error::Exists(path.to_owned())),
    }
}

/// A file on its way; it vanishes unless it is kept.
pub(crate) struct PartFile {
    file: File,
    folder: OwnedFd,
    /// The name it has so far.
    part: String,
    /// The name it will have.
    leaf: String,
    path: PathBuf,
    force: bool,
    digest: Checksum,
}

impl PartFile {
    /// Adds bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.digest.update(bytes);
        self.file.write_all(bytes).map_err(|error| Error::Io(self.path.clone(), error))
    }

    /// Puts the file under its name if it is what was announced; gives back where it is.
    pub(crate) fn keep(self, artifact: &Artifact) -> Result<PathBuf, Error> {
        self.digest.check(artifact)?;
        match self.rename() {
            Ok(()) => Ok(self.path.clone()),
            Err(Errno::EXIST) => Err(Error::Exists(self.path.clone())),
            Err(error) => Err(Error::Io(self.path.clone(), error.into())),
        }
    }

    fn rename(&self) -> Result<(), Errno> {
        let (from, to) = (self.part.as_str(), self.leaf.as_str());
        if self.force {
            return rustix::fs::renameat(&self.folder, from, &self.folder, to);
        }
        match rustix::fs::renameat_with(&self.folder, from, &self.folder, to, RenameFlags::NOREPLACE) {
            // A file system that cannot refuse to replace; that nothing is there was seen before the download.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::renameat(&self.folder, from, &self.folder, to)
            }
            result => result,
        }
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // After it was kept nothing has this name any more.
        let _ = rustix::fs::unlinkat(&self.folder, &self.part, AtFlags::empty());
    }
}

/// The running checksum of a file.
#[derive(Default)]
pub(crate) struct Checksum {
    hasher: Sha256,
    length: u64,
}

impl Checksum {
    /// Adds bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// Whether the bytes are those that were announced.
    pub(crate) fn check(&self, artifact: &Artifact) -> Result<(), Error> {
        let sum: String = self.hasher.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let whole = u64::try_from(artifact.size) == Ok(self.length) && sum.eq_ignore_ascii_case(&artifact.sha256);
        if whole { Ok(()) } else { Err(Error::Damaged(artifact.name.clone())) }
    }
}

#[cfg(test)]
mod tests;
