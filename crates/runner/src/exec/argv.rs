//! The agent's command line.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use tempfile::{NamedTempFile, TempPath};

const PROMPT: &str = "{prompt}";
const PROMPT_FILE: &str = "{promptFile}";
const RESUME_ID: &str = "{resumeId}";

/// What is put into the template.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    /// What the agent is told.
    pub(super) message: &'a str,
    /// Under which the agent keeps the conversation; empty when it told none.
    pub(super) resume_id: &'a str,
}

/// A command line, ready to be run.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) argv: Vec<String>,
    /// Deletes the file with the message at the end.
    _prompt_file: Option<TempPath>,
}

/// There is no place for the message.
#[derive(Debug, thiserror::Error)]
#[error("the message for the agent cannot be written to a file in {}: {source}{}", folder.display(), advice(source))]
pub(super) struct ExpandError {
    folder: PathBuf,
    source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; earlier turns have left no room there",
        _ => "",
    }
}

/// Puts the message, the path of a file that holds it, and the resume id where the template names them. Nothing else is
/// expanded, and what the values say is never looked at. The file is made only when it is named: in `TMPDIR` or
/// `/tmp`, for its owner alone.
pub(super) fn expand(template: &[String], values: &Values<'_>) -> Result<Command, ExpandError> {
    let named = template.iter().any(|argument| argument.contains(PROMPT_FILE));
    let prompt_file = named.then(|| write(values.message)).transpose()?;
    let path = prompt_file.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let argv = template.iter().map(|argument| replace(argument, values, &path)).collect();
    Ok(Command { argv, _prompt_file: prompt_file })
}

/// One pass, so that what was put in is not expanded again.
fn replace(argument: &str, values: &Values<'_>, path: &str) -> String {
    let mut expanded = String::with_capacity(argument.len());
    let mut rest = argument;
    while let Some(brace) = rest.find('{') {
        expanded.push_str(&rest[..brace]);
        rest = &rest[brace..];
        let named = [(PROMPT, values.message), (PROMPT_FILE, path), (RESUME_ID, values.resume_id)];
        let found = named.into_iter().find(|(name, _)| rest.starts_with(name));
        let (name, value) = found.unwrap_or(("{", "{"));
        expanded.push_str(value);
        rest = &rest[name.len()..];
    }
    expanded + rest
}

fn write(message: &str) -> Result<TempPath, ExpandError> {
    let folder = std::env::temp_dir();
    let written = || {
        // A named temporary file is made with mode 0600.
        let mut file = NamedTempFile::with_prefix_in("drover-prompt-", &folder)?;
        file.write_all(message.as_bytes())?;
        Ok(file.into_temp_path())
    };
    written().map_err(|source| ExpandError { source, folder: folder.clone() })
}

#[cfg(test)]
mod tests;
