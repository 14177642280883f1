//! What the user sees: the terminal, and how Sessions, artifacts and logs are written on it.

pub(crate) mod describe;
pub(crate) mod log;
pub(crate) mod overview;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod terminal;
pub(crate) mod tree;
pub(crate) mod units;

pub(crate) use terminal::{Closed, Terminal};

/// The choice between text and a document.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct OutputArgs {
    /// Print a document for programs instead of text
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<Format>,
}

/// The formats of documents.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

impl OutputArgs {
    /// The document's format, if one is asked for.
    pub(crate) fn format(self) -> Option<Format> {
        self.output
    }
}
