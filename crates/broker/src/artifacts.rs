//! Storing what `spec.artifacts` names.

mod open;
mod patterns;
mod upload;
mod walk;

use std::{path::Path, sync::Arc};

use drover_api::report::{Artifact, MAX_ARTIFACTS};

use crate::{gateway::Gateway, text::count};
use open::Workspace;
use patterns::Patterns;
use walk::Walk;

/// What became of a run's artifacts; grows while they are stored, so that an interrupted run keeps what it has.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// In the order of their names.
    pub(crate) artifacts: Vec<Artifact>,
    /// What was not stored and why, a sentence each.
    pub(crate) problems: Vec<String>,
    /// Files that were found and not dealt with yet.
    pub(crate) left: usize,
}

/// Finds the files that `patterns` name beneath `workspace` and stores them one after another.
pub(crate) async fn store(gateway: &Gateway, workspace: &Path, patterns: &[String], stored: &mut Stored) {
    if patterns.is_empty() {
        return;
    }
    let (patterns, refused) = Patterns::new(patterns);
    stored.problems.extend(refused);
    let workspace = match Workspace::open(workspace) {
        Ok(workspace) => Arc::new(workspace),
        Err(error) => {
            stored.problems.push(format!("no artifact was stored: the working directory cannot be read: {error}"));
            return;
        }
    };
    let found = find(Arc::clone(&workspace), patterns).await;
    stored.problems.extend(found.problems);
    if found.total > MAX_ARTIFACTS {
        let total = count(found.total as u64, "file");
        stored.problems.push(format!("{total} match; only the first {MAX_ARTIFACTS} by name were stored"));
    }
    stored.left = found.files.len();
    for name in found.files {
        match upload::store(gateway, &workspace, &name).await {
            Ok(artifact) => stored.artifacts.push(artifact),
            Err(problem) => stored.problems.push(format!("{name} was not stored: {problem}")),
        }
        stored.left -= 1;
    }
}

async fn find(workspace: Arc<Workspace>, patterns: Patterns) -> Walk {
    let walked = tokio::task::spawn_blocking(move || Walk::of(&workspace, &patterns)).await;
    walked.unwrap_or_else(|error| {
        tracing::error!(%error, "looking for artifacts failed");
        Walk::failed()
    })
}
