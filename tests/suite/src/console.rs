//! Documentation that can be run.
//!
//! In a page, fenced blocks of the kind `console` are run from the first to the last:
//! - A line that begins with `$ ` is a command; lines behind it that begin with `> ` continue it.
//! - The lines up to the next command are the output that is expected, standard error included. `…` within a line stands
//!   for anything or nothing, and a line that is only `…` for any number of lines, or none.
//! - Every command must end with exit code 0. One that is meant to fail says so itself, for instance by `|| true`.
//!
//! Each command runs in a bash of its own, in the folder that is given. The commands beneath the heading `Clean up` are
//! run once more before all others, whatever comes of it, so that a run that broke off is in nobody's way.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(180);
const CLEAN_UP: &str = "Clean up";
const ANYTHING: char = '…';

/// A command of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of the page where it stands, from 1.
    pub line: usize,
    /// The heading that it stands beneath.
    pub heading: String,
    /// The command.
    pub command: String,
    /// What it is expected to print.
    pub expected: Vec<String>,
}

/// The steps of a page.
///
/// # Errors
/// When a block begins with something else than a command, or does not end.
pub fn steps(page: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut heading, mut inside, mut first, mut other) = (String::new(), false, false, false);
    for (number, text) in (1..).zip(page.lines()) {
        if let Some(kind) = text.strip_prefix("```") {
            if !inside && !other {
                (inside, first) = (kind == "console", true);
                other = !inside;
            } else {
                (inside, other) = (false, false);
            }
        } else if inside {
            if let Some(command) = text.strip_prefix("$ ") {
                let (heading, command) = (heading.clone(), command.to_owned());
                steps.push(Step { line: number, heading, command, expected: Vec::new() });
            } else {
                ensure!(!first, "line {number}: a block of the kind console begins with a command");
                let step = steps.last_mut().context("no command")?;
                match text.strip_prefix("> ").filter(|_| step.expected.is_empty()) {
                    Some(more) => step.command = format!("{}\n{more}", step.command),
                    None => step.expected.push(text.trim_end().to_owned()),
                }
            }
            first = false;
        } else if let Some(text) = text.strip_prefix('#').filter(|_| !other) {
            heading = text.trim_start_matches('#').trim().to_owned();
        }
    }
    ensure!(!inside && !other, "a block does not end");
    Ok(steps)
}

/// Whether `output` is what was expected.
#[must_use]
pub fn matches(expected: &[String], output: &[String]) -> bool {
    let Some((first, rest)) = expected.split_first() else { return output.is_empty() };
    if first.chars().eq([ANYTHING]) {
        return (0..=output.len()).any(|skipped| matches(rest, &output[skipped..]));
    }
    output.split_first().is_some_and(|(line, others)| line_matches(first, line) && matches(rest, others))
}

/// Whether a line is what was expected.
#[must_use]
pub fn line_matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split(ANYTHING);
    let Some(mut rest) = parts.next().and_then(|start| line.strip_prefix(start)) else { return false };
    let Some(mut part) = parts.next() else { return rest.is_empty() };
    for next in parts {
        // The first place is as good as any: what follows only needs as much as possible to be left.
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
        part = next;
    }
    rest.ends_with(part)
}

/// Runs the steps of a page in a folder, with these variables in the environment.
///
/// # Errors
/// At the first step that does not do what the page says, with what it did instead.
pub async fn run(page: &str, folder: &Path, environment: &[(&str, &str)]) -> Result<()> {
    let steps = steps(page)?;
    ensure!(!steps.is_empty(), "the page has no commands");
    for step in steps.iter().filter(|step| step.heading == CLEAN_UP) {
        shell(&step.command, folder, environment).await?;
    }
    for step in &steps {
        let (success, output) = shell(&step.command, folder, environment).await?;
        let lines: Vec<String> = output.lines().map(|line| line.trim_end().to_owned()).collect();
        if !success || !matches(&step.expected, &lines) {
            let expected = step.expected.join("\n");
            let ended = if success { "ended well" } else { "failed" };
            bail!("line {}: `{}` {ended} and printed\n{output}\nexpected was\n{expected}", step.line, step.command);
        }
    }
    Ok(())
}

async fn shell(command: &str, folder: &Path, environment: &[(&str, &str)]) -> Result<(bool, String)> {
    let mut bash = Command::new("bash");
    // One pipe for both outputs, so that their lines are in order.
    bash.args(["-c", &format!("exec 2>&1\n{command}")]).envs(environment.iter().copied());
    let output = bash.current_dir(folder).stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let output =
        tokio::time::timeout(PATIENCE, output).await.with_context(|| format!("`{command}` does not end"))??;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[cfg(test)]
mod tests;
