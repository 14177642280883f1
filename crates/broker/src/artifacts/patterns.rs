//! The patterns of `spec.artifacts`.

use std::{ffi::OsStr, path::Path};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Patterns, ready to be matched against paths relative to the workspace.
#[derive(Debug)]
pub(super) struct Patterns {
    set: GlobSet,
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    /// As the user wrote it.
    text: String,
    /// The folders that it names before its first wildcard.
    prefix: Vec<String>,
    /// How many names a matching path has; unknown when the pattern spans folders.
    depth: Option<usize>,
}

impl Patterns {
    /// The patterns that are valid, and a sentence for each that is not.
    pub(super) fn new(texts: &[String]) -> (Self, Vec<String>) {
        let (mut set, mut sources, mut problems) = (GlobSetBuilder::new(), Vec::new(), Vec::new());
        for text in texts {
            let plain = text.strip_prefix("./").unwrap_or(text);
            match GlobBuilder::new(plain).literal_separator(true).case_insensitive(false).build() {
                Ok(glob) => {
                    set.add(glob);
                    sources.push(Source::new(text, plain));
                }
                Err(error) => problems.push(format!("the pattern {text} is not valid: {}", error.kind())),
            }
        }
        let set = set.build().unwrap_or_else(|error| {
            problems.push(format!("the patterns cannot be used together: {}", error.kind()));
            sources.clear();
            GlobSet::empty()
        });
        (Self { set, sources }, problems)
    }

    /// As the user wrote them; their indices are those of [`matches`](Self::matches).
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.text.as_str())
    }

    /// Which patterns a path matches.
    pub(super) fn matches(&self, path: &OsStr) -> Vec<usize> {
        self.set.matches(Path::new(path))
    }

    /// Whether anything beneath a folder could match. Spares the walk through trees that no pattern speaks of.
    pub(super) fn lead_into(&self, folder: &OsStr) -> bool {
        let names: Vec<&OsStr> = Path::new(folder).iter().collect();
        self.sources.iter().any(|source| source.leads_into(&names))
    }
}

impl Source {
    fn new(text: &str, plain: &str) -> Self {
        let names: Vec<&str> = plain.split('/').collect();
        let literal = names.iter().take_while(|name| !name.contains(['*', '?', '[', '{', '\\'])).count();
        // The last name is that of the file. A brace can hold a slash, and then nothing is known of the depth.
        let prefix = names[..literal.min(names.len() - 1)].iter().map(|name| (*name).to_owned()).collect();
        let depth = (!plain.contains("**") && !plain.contains('{')).then_some(names.len());
        Self { text: text.to_owned(), prefix, depth }
    }

    fn leads_into(&self, folder: &[&OsStr]) -> bool {
        let agree = self.prefix.iter().zip(folder).all(|(a, b)| OsStr::new(a) == *b);
        agree && self.depth.is_none_or(|depth| folder.len() < depth)
    }
}

#[cfg(test)]
mod tests;
