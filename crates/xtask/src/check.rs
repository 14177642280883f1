//! The rules of the house that no other tool knows. Each check returns what is wrong, a sentence each.

mod dependencies;
mod reasons;
mod rights;
mod sizes;
mod status_size;
mod values;
mod words;

use std::path::Path;

use crate::repository;

/// Everything that is wrong with the repository.
///
/// # Errors
/// When a file cannot be read or a tool cannot be run.
pub fn repository(root: &Path) -> anyhow::Result<Vec<String>> {
    let files = repository::files(root)?;
    let mut problems = sizes::check(root, &files)?;
    problems.extend(words::check(root, &files)?);
    problems.extend(dependencies::check(root)?);
    problems.extend(status_size::check(&drover_api::crds())?);
    problems.extend(reasons::check(root, &drover_api::crds())?);
    problems.extend(values::check(root)?);
    Ok(problems)
}

/// Everything that is wrong with the rights in a rendered chart.
///
/// # Errors
/// When the manifests are not YAML, or hold no roles at all.
pub fn chart(manifests: &str) -> anyhow::Result<Vec<String>> {
    rights::check(manifests)
}
