//! What crashes leave behind in the folder of a store.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use walkdir::{DirEntry, WalkDir};

/// Removes uploads that were cut off by the end of a process: files that a store began and nobody has written to for
/// `age`. Folders that hold nothing go with them. Returns how many files there were. Blocks, and looks at every file.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_abandoned_uploads(folder: &Path, age: Duration) -> io::Result<usize> {
    let now = SystemTime::now();
    let mut removed = 0;
    // A folder changes when something is removed from it, and is not old any more.
    let mut emptied: HashSet<PathBuf> = HashSet::new();
    // What cannot be looked at, for instance because it vanishes meanwhile, is left for the next time.
    for entry in WalkDir::new(folder).min_depth(1).contents_first(true).into_iter().filter_map(Result::ok) {
        let old = is_untouched(&entry, now, age);
        let gone = if entry.file_type().is_dir() {
            // Only an empty one lets itself be removed.
            (old || emptied.contains(entry.path())) && std::fs::remove_dir(entry.path()).is_ok()
        } else {
            let abandoned = old && entry.file_type().is_file() && is_upload(entry.file_name().to_str());
            let gone = abandoned && remove(entry.path())?;
            removed += usize::from(gone);
            gone
        };
        if gone {
            emptied.extend(entry.path().parent().map(Path::to_path_buf));
        }
    }
    Ok(removed)
}

fn is_untouched(entry: &DirEntry, now: SystemTime, age: Duration) -> bool {
    let untouched = entry.metadata().ok().and_then(|m| now.duration_since(m.modified().ok()?).ok());
    untouched >= Some(age)
}

/// Whether it was there.
fn remove(file: &Path) -> io::Result<bool> {
    match std::fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// An unfinished file is named like its object, with `#` and a number behind; no object of this store has `#` in its
/// name.
fn is_upload(name: Option<&str>) -> bool {
    let number = name.and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
