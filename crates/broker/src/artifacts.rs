//! Storing what `spec.artifacts` names.

mod patterns;
mod upload;
mod walk;

use std::{collections::BTreeSet, ffi::OsStr, path::Path, sync::Arc};

use drover_api::report::{Artifact, MAX_ARTIFACTS};

use crate::{
    beneath::{self, Root},
    gateway::Gateway,
    text::count,
};
use patterns::Patterns;
use upload::Patience;
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

/// Finds the files that `patterns` name beneath `workspace` and stores them one after another, small ones first: a file
/// that takes all the time there is must not cost the others.
pub(crate) async fn store(gateway: &Gateway, workspace: &Path, patterns: &[String], stored: &mut Stored) {
    if patterns.is_empty() {
        return;
    }
    let (patterns, refused) = Patterns::new(patterns);
    stored.problems.extend(refused);
    let workspace = match Root::open(workspace) {
        Ok(workspace) => Arc::new(workspace),
        Err(error) => {
            stored.problems.push(format!("no artifact was stored: the working directory cannot be read: {error}"));
            return;
        }
    };
    let (found, files) = find(Arc::clone(&workspace), patterns).await;
    stored.problems.extend(found.problems);
    if found.total > MAX_ARTIFACTS {
        let total = count(found.total as u64, "file");
        stored.problems.push(format!("{total} match; only the first {MAX_ARTIFACTS} by name were stored"));
    }
    stored.left = files.len();
    let mut patience = Patience::default();
    for name in files {
        let put = async |upload| gateway.put_artifact(&name, upload).await;
        match upload::store(put, &workspace, &name, &mut patience).await {
            Ok(artifact) => stored.add(artifact),
            Err(problem) => stored.problems.push(format!("{name} was not stored: {problem}")),
        }
        stored.left -= 1;
    }
}

impl Stored {
    fn add(&mut self, artifact: Artifact) {
        let place = self.artifacts.partition_point(|other| other.name < artifact.name);
        self.artifacts.insert(place, artifact);
    }
}

/// What the patterns name, and the files among it in the order of their sizes.
async fn find(workspace: Arc<Root>, patterns: Patterns) -> (Walk, Vec<String>) {
    let walked = tokio::task::spawn_blocking(move || {
        let walk = Walk::of(&workspace, &patterns);
        let files = by_size(&workspace, &walk.files);
        (walk, files)
    });
    walked.await.unwrap_or_else(|error| {
        tracing::error!(%error, "looking for artifacts failed");
        (Walk::failed(), Vec::new())
    })
}

/// By size as it is now, and by name where sizes are equal. What cannot be opened comes first: it costs no time, and
/// the upload says why.
fn by_size(workspace: &Root, files: &BTreeSet<String>) -> Vec<String> {
    let size = |name: &String| workspace.file(OsStr::new(name)).map_or(0, |(_, stat)| beneath::size(&stat));
    let mut files: Vec<String> = files.iter().cloned().collect();
    files.sort_by_cached_key(size);
    files
}
