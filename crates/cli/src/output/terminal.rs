//! Standard output and standard error. Nothing else in the plugin writes to them.

use std::{
    io::{self, BufWriter, IsTerminal, Stderr, Stdout, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use super::{Format, style::Palette};

/// The reader of standard output is gone, as after `| head`: there is nobody to tell anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("standard output is closed")]
pub(crate) struct Closed;

/// Both outputs of the process.
pub(crate) struct Terminal {
    out: Mutex<BufWriter<Stdout>>,
    err: Stderr,
    out_palette: Palette,
    err_palette: Palette,
}

impl Terminal {
    /// The process' own outputs, in colour where a terminal shows them and `NO_COLOR` does not forbid it.
    pub(crate) fn of_process() -> Self {
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        let (out, err) = (io::stdout(), io::stderr());
        Self {
            out_palette: Palette::new(allowed && out.is_terminal()),
            err_palette: Palette::new(allowed && err.is_terminal()),
            out: Mutex::new(BufWriter::new(out)),
            err,
        }
    }

    /// The colours of standard output.
    pub(crate) fn out_palette(&self) -> Palette {
        self.out_palette
    }

    /// The colours of standard error.
    pub(crate) fn err_palette(&self) -> Palette {
        self.err_palette
    }

    /// Writes to standard output; it may stay in the buffer until [`flush`](Self::flush).
    pub(crate) fn out(&self, bytes: &[u8]) -> anyhow::Result<()> {
        settle(self.lock().write_all(bytes))
    }

    /// Brings everything written so far to its reader.
    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        settle(self.lock().flush())
    }

    /// Writes text to standard output at once.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        self.out(text.as_bytes())?;
        self.flush()
    }

    /// Writes a document to standard output at once.
    pub(crate) fn document<T: Serialize>(&self, format: Format, document: &T) -> anyhow::Result<()> {
        let mut text = match format {
            Format::Json => serde_json::to_string_pretty(document)?,
            // By way of JSON's own values, so that both formats say the same.
            Format::Yaml => serde_saphyr::to_string(&serde_json::to_value(document)?)?,
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.print(&text)
    }

    /// Writes to standard error. That nobody reads it is no reason to stop.
    pub(crate) fn err(&self, bytes: &[u8]) {
        let _ = self.err.lock().write_all(bytes);
    }

    /// Writes a line to standard error.
    pub(crate) fn note(&self, line: &str) {
        self.err(format!("{line}\n").as_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, BufWriter<Stdout>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settle(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
        Err(error) => Err(anyhow::Error::new(error).context("standard output cannot be written")),
    }
}
