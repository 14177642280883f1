//! Looking for the files that the patterns name.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use drover_api::report::{MAX_ARTIFACT_NAME, MAX_ARTIFACTS};
use rustix::fs::{AtFlags, Dir, DirEntry, FileType};

use super::patterns::Patterns;
use crate::beneath::{LINK, MAX_PATH, NOT_REGULAR, Root, explain, join, show};

/// How many entries of folders are looked at.
const MAX_ENTRIES: usize = 200_000;
/// How many bytes the paths of the folders have that are still to be looked at.
const MAX_PENDING: usize = 4 * 1024 * 1024;
/// How many sentences are kept.
const MAX_PROBLEMS: usize = 64;

/// What a walk through the workspace found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The first [`MAX_ARTIFACTS`] by name.
    pub(super) files: BTreeSet<String>,
    /// How many there were.
    pub(super) total: usize,
    /// What the patterns name and cannot be stored, a sentence each.
    pub(super) problems: Vec<String>,
    looked_at: usize,
    /// Folders that are still to be looked at, the next one last.
    pending: Vec<OsString>,
    /// The bytes of their paths.
    pending_bytes: usize,
    /// There was too much to look at.
    too_much: bool,
    /// For each pattern what it matched.
    hits: Vec<Hit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hit {
    Nothing,
    /// A folder is not stored, but the user probably meant what is in it.
    Folder,
    File,
}

impl Walk {
    /// Walks through the workspace, folder by folder in the order of their names, without following links. At most
    /// [`MAX_ENTRIES`] entries are looked at, and nothing is kept of what no pattern speaks of.
    pub(super) fn of(workspace: &Root, patterns: &Patterns) -> Self {
        let mut walk = Self { hits: vec![Hit::Nothing; patterns.texts().count()], ..Self::default() };
        walk.pending.push(OsString::new());
        while let Some(folder) = walk.pending.pop() {
            walk.pending_bytes -= folder.len();
            let (said, first) = (walk.problems.len(), walk.pending.len());
            if let Err(error) = walk.look_into(workspace, &folder, patterns) {
                walk.problem(format!("the folder {} was not searched: {}", show(&folder), explain(error)));
            }
            walk.problems[said..].sort_unstable();
            walk.pending[first..].sort_unstable_by(|a, b| b.cmp(a));
        }
        if walk.too_much {
            let most = walk.looked_at;
            walk.problem(format!("the search ended after {most} files and folders: write narrower patterns"));
        }
        walk.name_what_matched_nothing(patterns);
        walk
    }

    /// A walk that could not be made.
    pub(super) fn failed() -> Self {
        let problems = vec!["no artifact was stored: looking for the files failed".to_owned()];
        Self { problems, ..Self::default() }
    }

    /// Considers each entry of a folder.
    fn look_into(&mut self, workspace: &Root, folder: &OsStr, patterns: &Patterns) -> rustix::io::Result<()> {
        let mut dir = Dir::new(workspace.folder(folder)?)?;
        while let Some(entry) = dir.read() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if self.looked_at >= MAX_ENTRIES {
                self.too_much = true;
                break;
            }
            self.looked_at += 1;
            let (path, kind) = (join(folder, name), kind(&dir, &entry)?);
            self.consider(&path, kind, patterns);
            if kind == FileType::Directory && path.len() <= MAX_PATH && patterns.lead_into(&path) {
                self.look_later_into(path);
            }
        }
        Ok(())
    }

    fn look_later_into(&mut self, path: OsString) {
        if self.pending_bytes + path.len() > MAX_PENDING {
            self.too_much = true;
            return;
        }
        self.pending_bytes += path.len();
        self.pending.push(path);
    }

    fn consider(&mut self, path: &OsStr, kind: FileType, patterns: &Patterns) {
        let matches = patterns.matches(path);
        if matches.is_empty() {
            return;
        }
        let hit = if kind == FileType::Directory { Hit::Folder } else { Hit::File };
        for index in matches {
            self.hits[index] = self.hits[index].max(hit);
        }
        match kind {
            FileType::Directory => {}
            FileType::RegularFile => match acceptable(path) {
                Ok(name) => self.keep(name),
                Err(why) => self.refuse(path, why),
            },
            FileType::Symlink => self.refuse(path, LINK),
            _ => self.refuse(path, NOT_REGULAR),
        }
    }

    fn keep(&mut self, name: &str) {
        self.total += 1;
        self.files.insert(name.to_owned());
        if self.files.len() > MAX_ARTIFACTS {
            self.files.pop_last();
        }
    }

    fn refuse(&mut self, path: &OsStr, why: &str) {
        self.problem(format!("{} was not stored: {why}", show(path)));
    }

    fn problem(&mut self, sentence: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(sentence);
        }
    }

    fn name_what_matched_nothing(&mut self, patterns: &Patterns) {
        let sentences: Vec<String> = patterns
            .texts()
            .zip(&self.hits)
            .filter_map(|(text, hit)| match hit {
                Hit::File => None,
                Hit::Folder => {
                    Some(format!("{text} is a folder: write {}/** to keep the files in it", text.trim_end_matches('/')))
                }
                Hit::Nothing => Some(format!("no file matched {text}")),
            })
            .collect();
        for sentence in sentences {
            self.problem(sentence);
        }
    }
}

/// What an entry is, without following it when it is a link.
fn kind(dir: &Dir, entry: &DirEntry) -> rustix::io::Result<FileType> {
    match entry.file_type() {
        FileType::Unknown => Ok(rustix::fs::statat(dir.fd()?, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))),
        known => Ok(known),
    }
}

/// The name under which a file can be stored, or why it cannot.
fn acceptable(path: &OsStr) -> Result<&str, &'static str> {
    let name = path.to_str().ok_or("its name is not UTF-8")?;
    if name.len() > MAX_ARTIFACT_NAME {
        return Err("its path has more than 150 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("its name contains a control character");
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
