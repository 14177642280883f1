//! What a checkpoint does not hold.

use drover_api::report::MAX_PROBLEM;

use crate::text::count;

/// How many paths are named of each kind.
const NAMED: usize = 3;

/// Counts what was left out, and remembers the first names.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    too_large: Paths,
    unreadable: Paths,
    changed: Paths,
    most: u64,
}

#[derive(Debug, Default)]
struct Paths {
    first: Vec<String>,
    count: u64,
}

impl LeftOut {
    pub(super) fn new(most: u64) -> Self {
        Self { most, ..Self::default() }
    }

    /// There was no room for it.
    pub(super) fn too_large(&mut self, path: String) {
        self.too_large.add(path);
    }

    /// It cannot be read.
    pub(super) fn unreadable(&mut self, path: String) {
        self.unreadable.add(path);
    }

    /// It was changed while it was read, so what is kept of it is of no use.
    pub(super) fn changed(&mut self, path: String) {
        self.changed.add(path);
    }

    /// For the user, if anything was left out.
    pub(super) fn sentence(&self) -> Option<String> {
        let Self { too_large, unreadable, changed, most } = self;
        let no_room = format!("no room (a checkpoint holds {most} bytes)");
        let kinds = [(no_room.as_str(), too_large), ("not readable", unreadable), ("changed meanwhile", changed)];
        let kinds: Vec<_> = kinds.into_iter().filter(|(_, paths)| paths.count > 0).collect();
        // Each kind gets its share, so that none hides another.
        let room = MAX_PROBLEM / kinds.len().max(1) - 2;
        let parts: Vec<String> = kinds.into_iter().map(|(what, paths)| paths.named(what, room)).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

impl Paths {
    fn add(&mut self, path: String) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(path);
        }
    }

    /// As many names as there is room for, but at least how many they are.
    fn named(&self, what: &str, room: usize) -> String {
        for named in (1..=self.first.len()).rev() {
            let names = self.first[..named].join(", ");
            let sentence = match self.count - named as u64 {
                0 => format!("{what}: {names}"),
                more => format!("{what}: {names} and {more} more"),
            };
            if sentence.len() <= room {
                return sentence;
            }
        }
        format!("{what}: {}", count(self.count, "file"))
    }
}

#[cfg(test)]
mod tests;
