//! What a crash leaves behind in the folder of a store.

use std::{
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use walkdir::WalkDir;

/// Removes uploads that were cut off by the end of a process: files that a store began and nobody has written to for
/// `age`. Returns how many there were. Blocks.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_abandoned_uploads(folder: &Path, age: Duration) -> io::Result<usize> {
    let now = SystemTime::now();
    let mut removed = 0;
    // What cannot be looked at, for instance because it vanishes meanwhile, is left for the next time.
    for entry in WalkDir::new(folder).into_iter().filter_map(Result::ok) {
        let untouched = entry.metadata().ok().and_then(|m| now.duration_since(m.modified().ok()?).ok());
        if entry.file_type().is_file() && is_upload(entry.file_name().to_str()) && untouched >= Some(age) {
            match std::fs::remove_file(entry.path()) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(removed)
}

/// An unfinished file is named like its object, with `#` and a number behind; no object of this store has `#` in its
/// name.
fn is_upload(name: Option<&str>) -> bool {
    let number = name.and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
