//! `kubectl drover completion`, and the answers to what shells ask.
//!
//! Shells ask in two ways. A script of this command completes `kubectl-drover` and asks through the environment variable
//! `COMPLETE`. kubectl's own completion asks a program `kubectl_complete-drover`, as kubectl's plugins have it: a link of
//! that name to this program will do.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::{
    CompleteEnv,
    engine::{self, CompletionCandidate},
    env::Shells,
};
use kube::{ResourceExt, api::ListParams};

use crate::{
    args::Cli,
    cluster::{Cluster, ClusterArgs},
    output::Terminal,
};

/// The variable by which the scripts ask.
const VARIABLE: &str = "COMPLETE";
/// The program that the scripts complete, and ask.
const PROGRAM: &str = "kubectl-drover";
/// The name under which kubectl asks.
const FOR_KUBECTL: &str = "kubectl_complete-drover";
/// How long a shell waits for names at most.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many names are offered at most.
const MOST_NAMES: u32 = 500;

/// Print a script that completes commands in a shell
///
/// Completes kubectl-drover with its commands, flags and the names of Sessions. For "kubectl drover", kubectl's own
/// completion asks a program kubectl_complete-drover: make that a link to kubectl-drover.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES:
  # Complete kubectl-drover in this bash
  source <(kubectl drover completion bash)

  # Complete it in every zsh
  echo 'source <(kubectl drover completion zsh)' >> ~/.zshrc

  # Complete kubectl drover wherever kubectl completes
  ln -s kubectl-drover \"$(dirname \"$(command -v kubectl-drover)\")/kubectl_complete-drover\"")]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// The shells that are completed.
#[derive(ValueEnum, Clone, Copy, Debug)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
    };
    let shells = Shells::builtins();
    let shell = shells.completer(name).context("the shell is not known")?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    terminal.out(&script)?;
    terminal.flush()
}

/// Answers a shell, if it is one that asks: then this was all that there is to do.
pub(crate) fn answered(terminal: &Terminal) -> anyhow::Result<bool> {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    if Path::new(&program).file_name() == Some(OsStr::new(FOR_KUBECTL)) {
        terminal.print(&for_kubectl(words.collect()))?;
        return Ok(true);
    }
    let folder = std::env::current_dir().ok();
    let answered = CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .bin(PROGRAM)
        .completer(PROGRAM)
        .try_complete(std::env::args_os(), folder.as_deref());
    Ok(answered?)
}

/// The candidates for the last word as kubectl reads them: a line each, then what the shell is to do with them.
fn for_kubectl(words: Vec<OsString>) -> String {
    const NO_SPACE: u8 = 2;
    const NO_FILES: u8 = 4;
    let last = words.len();
    let mut all = vec![PROGRAM.into()];
    all.extend(words);
    let folder = std::env::current_dir().ok();
    let candidates = engine::complete(&mut Cli::command(), all, last, folder.as_deref()).unwrap_or_default();
    let mut text = String::new();
    let mut directive = NO_FILES;
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        let value = candidate.get_value().to_string_lossy();
        if value.ends_with(['/', '=']) {
            directive |= NO_SPACE;
        }
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.lines().next().unwrap_or_default();
        text.push_str(&format!("{value}\t{help}\n"));
    }
    text.push_str(&format!(":{directive}\n"));
    text
}

/// The names of Sessions that begin with `begun`, in the namespace that the command line names so far. Whatever goes
/// wrong, there are none: a shell has no place for an error.
pub(crate) fn sessions(begun: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let words: Vec<String> = std::env::args().collect();
    let names = runtime.block_on(async { tokio::time::timeout(PATIENCE, names(&words)).await });
    let begun = begun.to_string_lossy();
    let names = names.ok().and_then(Result::ok).unwrap_or_default().into_iter();
    names.filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}

async fn names(words: &[String]) -> anyhow::Result<Vec<String>> {
    let cluster = Cluster::open(&ClusterArgs {
        namespace: flag(words, "--namespace", Some("-n")),
        context: flag(words, "--context", None),
        kubeconfig: flag(words, "--kubeconfig", None).map(Into::into),
        drover_namespace: String::new(),
    })
    .await?;
    let list = cluster.sessions().list_metadata(&ListParams::default().match_any().limit(MOST_NAMES)).await?;
    Ok(list.items.iter().map(ResourceExt::name_any).collect())
}

/// The value of a flag in a command line that is not finished.
fn flag(words: &[String], long: &str, short: Option<&str>) -> Option<String> {
    let mut words = words.iter();
    let mut value = None;
    while let Some(word) = words.next() {
        if word == long || Some(word.as_str()) == short {
            value = words.next().cloned();
        } else if let Some(rest) = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
            value = Some(rest.to_owned());
        } else if let Some(rest) = short.and_then(|short| word.strip_prefix(short)) {
            value = Some(rest.trim_start_matches('=').to_owned());
        }
    }
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
