//! The agent's command line.

use std::io::{self, Write};

use tempfile::{NamedTempFile, TempPath};

const PROMPT: &str = "{prompt}";
const PROMPT_FILE: &str = "{promptFile}";

/// A command line, ready to be run.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) argv: Vec<String>,
    /// Deletes the file with the prompt at the end.
    _prompt_file: Option<TempPath>,
}

/// Puts the prompt, and the path of a file that holds it, where the template names them. Nothing else is expanded, and
/// what the prompt says is never looked at. The file is made only when it is named: in `TMPDIR` or `/tmp`, for its
/// owner alone.
pub(super) fn expand(template: &[String], prompt: &str) -> io::Result<Command> {
    let prompt_file =
        template.iter().any(|argument| argument.contains(PROMPT_FILE)).then(|| write(prompt)).transpose()?;
    let path = prompt_file.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let argv = template.iter().map(|argument| replace(argument, prompt, &path)).collect();
    Ok(Command { argv, _prompt_file: prompt_file })
}

/// One pass, so that what was put in is not expanded again.
fn replace(argument: &str, prompt: &str, path: &str) -> String {
    let mut expanded = String::with_capacity(argument.len());
    let mut rest = argument;
    while let Some(brace) = rest.find('{') {
        expanded.push_str(&rest[..brace]);
        rest = &rest[brace..];
        let (value, length) = if rest.starts_with(PROMPT) {
            (prompt, PROMPT.len())
        } else if rest.starts_with(PROMPT_FILE) {
            (path, PROMPT_FILE.len())
        } else {
            ("{", 1)
        };
        expanded.push_str(value);
        rest = &rest[length..];
    }
    expanded + rest
}

fn write(prompt: &str) -> io::Result<TempPath> {
    // A named temporary file is made with mode 0600.
    let mut file = NamedTempFile::with_prefix("drover-prompt-")?;
    file.write_all(prompt.as_bytes())?;
    Ok(file.into_temp_path())
}

#[cfg(test)]
mod tests;
