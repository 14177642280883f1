//! Looking for the files that the patterns name.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use drover_api::report::{MAX_ARTIFACT_NAME, MAX_ARTIFACTS};
use rustix::fs::{AtFlags, Dir, FileType};

use super::{
    open::{LINK, NOT_REGULAR, Workspace, explain},
    patterns::Patterns,
};
use crate::text::cut;

/// How many entries of folders are looked at.
const MAX_ENTRIES: usize = 200_000;
/// How many sentences are kept.
const MAX_PROBLEMS: usize = 64;
/// The longest path that is looked at, in bytes; the kernel takes no longer one.
const MAX_PATH: usize = 4_000;

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

struct Entry {
    name: OsString,
    kind: FileType,
}

impl Walk {
    /// Walks through the workspace in the order of names, without following links. At most [`MAX_ENTRIES`] entries
    /// are looked at.
    pub(super) fn of(workspace: &Workspace, patterns: &Patterns) -> Self {
        let mut walk = Self { hits: vec![Hit::Nothing; patterns.texts().count()], ..Self::default() };
        let mut folders = vec![OsString::new()];
        while let Some(folder) = folders.pop() {
            let entries = match walk.entries(workspace, &folder) {
                Ok(entries) => entries,
                Err(error) => {
                    walk.problem(format!("the folder {} was not searched: {}", show(&folder), explain(error)));
                    continue;
                }
            };
            let mut inner = Vec::new();
            for Entry { name, kind } in entries {
                let path = join(&folder, &name);
                walk.consider(&path, kind, patterns);
                if kind == FileType::Directory && path.len() <= MAX_PATH && patterns.lead_into(&path) {
                    inner.push(path);
                }
            }
            folders.extend(inner.into_iter().rev());
        }
        if walk.looked_at >= MAX_ENTRIES {
            walk.problem(format!("the search ended after {MAX_ENTRIES} files and folders: write narrower patterns"));
        }
        walk.name_what_matched_nothing(patterns);
        walk
    }

    /// A walk that could not be made.
    pub(super) fn failed() -> Self {
        let problems = vec!["no artifact was stored: looking for the files failed".to_owned()];
        Self { problems, ..Self::default() }
    }

    /// A folder's entries by name.
    fn entries(&mut self, workspace: &Workspace, folder: &OsStr) -> rustix::io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut dir = Dir::new(workspace.folder(folder)?)?;
        while self.looked_at < MAX_ENTRIES {
            let Some(entry) = dir.read() else { break };
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            self.looked_at += 1;
            let kind = match entry.file_type() {
                FileType::Unknown => rustix::fs::statat(dir.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
                known => known,
            };
            entries.push(Entry { name: name.to_owned(), kind });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
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

/// The name under which a file can be stored, or why it cannot.
fn acceptable(path: &OsStr) -> Result<&str, &'static str> {
    let name = path.to_str().ok_or("its name is not UTF-8")?;
    if name.len() > MAX_ARTIFACT_NAME {
        return Err("its path has more than 200 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("its name contains a control character");
    }
    Ok(name)
}

/// A path in a sentence.
fn show(path: &OsStr) -> String {
    let text: String = path.to_string_lossy().chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if text.len() <= 128 { text } else { format!("{}…", cut(&text, 125)) }
}

fn join(folder: &OsStr, name: &OsStr) -> OsString {
    let mut path = folder.to_owned();
    if !path.is_empty() {
        path.push("/");
    }
    path.push(name);
    path
}

#[cfg(test)]
mod tests;
