//! Text that a user hands in: on the command line, in a file or on standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, ensure};

/// What a text is for, and how long it may be.
pub(crate) struct Text {
    /// For instance `prompt`.
    pub(crate) what: &'static str,
    /// What to write instead of nothing.
    pub(crate) empty: &'static str,
    /// The most characters that the API takes.
    pub(crate) longest: usize,
}

impl Text {
    /// The text itself, or the content of `file`, in which `-` is standard input.
    pub(crate) fn read(&self, text: Option<&str>, file: Option<&Path>) -> anyhow::Result<String> {
        let what = self.what;
        let text = match (text, file) {
            (Some(text), _) => text.to_owned(),
            (None, Some(file)) if file.as_os_str() == "-" => self
                .drain(io::stdin().lock())
                .with_context(|| format!("the {what} cannot be read from standard input"))?,
            (None, Some(file)) => File::open(file)
                .and_then(|file| self.drain(file))
                .with_context(|| format!("the {what} cannot be read from {}", file.display()))?,
            (None, None) => String::new(),
        };
        ensure!(!text.trim().is_empty(), "the {what} is empty: {}", self.empty);
        ensure!(
            text.chars().count() <= self.longest,
            "the {what} is longer than {} characters: put the material into a file that the agent fetches",
            self.longest
        );
        Ok(text)
    }

    /// Reads a little more than the text can have at most.
    fn drain(&self, source: impl Read) -> io::Result<String> {
        let mut text = Vec::new();
        // A character has at most four bytes. Reading on would let an endless file fill the memory.
        source.take(4 * self.longest as u64 + 4).read_to_end(&mut text)?;
        String::from_utf8(text)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text, or too long"))
    }
}

#[cfg(test)]
mod tests;
