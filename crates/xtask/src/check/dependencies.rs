//! Which crate may know which.
//!
//! Nothing depends on a binary crate, `plan` knows `api` alone, the trees of both hold nothing that does I/O, and no
//! crate names a dependency that it does not use.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use serde::Deserialize;
use walkdir::WalkDir;

use crate::repository;

/// Crates that only decide, and the only crates of the workspace that each may know.
const PURE: [(&str, &[&str]); 2] = [("drover-api", &[]), ("drover-plan", &["drover-api"])];
/// What does I/O, and so has no place in the tree of a pure crate.
const IMPURE: [&str; 7] = ["hyper", "kube-client", "kube-runtime", "reqwest", "rustls", "tokio", "tower"];
/// Who may depend on a binary crate: the tests on all, and the generator on the gateway for its OpenAPI document.
const EXEMPT: [(&str, Option<&str>); 2] = [("drover-suite", None), ("xtask", Some("drover-gateway"))];

/// What `cargo metadata` says, as far as it is used.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    rename: Option<String>,
    path: Option<PathBuf>,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// Every dependency that should not be.
pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = repository::output(
        root,
        Command::new(&cargo).args(["metadata", "--format-version=1", "--no-deps", "--locked"]),
    )?;
    let metadata: Metadata = serde_json::from_str(&metadata)?;
    let mut problems = direction(&metadata);
    for (name, _) in PURE {
        let arguments = ["tree", "--locked", "--edges=normal", "--prefix=none", "--format={p}", "--package", name];
        problems.extend(impurities(name, &repository::output(root, Command::new(&cargo).args(arguments))?));
    }
    for package in &metadata.packages {
        problems.extend(unused(package, &sources(package)?));
    }
    Ok(problems)
}

/// What the packages of the workspace may not know of each other.
fn direction(metadata: &Metadata) -> Vec<String> {
    let binaries: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (package.name.as_str(), package.is_binary())).collect();
    let mut problems = Vec::new();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let (name, on) = (package.name.as_str(), dependency.name.as_str());
            let exempt = EXEMPT.iter().any(|(who, what)| *who == name && what.is_none_or(|what| what == on));
            if binaries.get(on) == Some(&true) && !exempt {
                problems.push(format!("{name} depends on {on}, which is a binary: move what both need into a library"));
            }
            if PURE.iter().any(|(pure, known)| *pure == name && !known.contains(&on)) {
                problems.push(format!("{name} depends on {on}: it only decides, and may not know it"));
            }
        }
    }
    problems
}

/// What does I/O among the dependencies of `name`, as `cargo tree` lists them.
fn impurities(name: &str, tree: &str) -> Vec<String> {
    let mut found: Vec<_> =
        tree.lines().filter_map(|line| line.split(' ').next()).filter(|word| IMPURE.contains(word)).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|found| format!("{name} has {found} among its dependencies, which does I/O")).collect()
}

/// Dependencies that no source of the package names.
fn unused(package: &Package, sources: &str) -> Vec<String> {
    let dependencies = package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("build"));
    dependencies
        .filter(|dependency| {
            !sources.contains(&dependency.rename.as_ref().unwrap_or(&dependency.name).replace('-', "_"))
        })
        .map(|dependency| format!("{} depends on {} and does not use it", package.name, dependency.name))
        .collect()
}

/// All of a package's Rust.
fn sources(package: &Package) -> anyhow::Result<String> {
    let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
    let mut text = String::new();
    for entry in WalkDir::new(folder) {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(entry.path())?);
        }
    }
    Ok(text)
}

impl Package {
    fn is_binary(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "bin"))
    }
}

#[cfg(test)]
mod tests;
