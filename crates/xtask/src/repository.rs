//! Where the repository is and what belongs to it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

/// The repository's root folder.
///
/// # Errors
/// When this is not run from a checkout.
pub fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map(Path::to_path_buf).context("crates/xtask is not where it belongs")
}

/// Every file of the repository, committed or not, that git does not ignore; relative to `root` and sorted.
///
/// # Errors
/// When git cannot be run.
pub fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let list =
        output(root, Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let mut files: Vec<_> = list.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    files.retain(|file| root.join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// What `command`, run in `root`, prints.
///
/// # Errors
/// When it cannot be run, fails, or prints what is not text.
pub fn output(root: &Path, command: &mut Command) -> anyhow::Result<String> {
    let output = command.current_dir(root).output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
