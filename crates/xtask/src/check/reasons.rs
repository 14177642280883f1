//! That every phase and reason which a status can show is explained on the page about them.

use std::{fs, path::Path};

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

/// The page.
const PAGE: &str = "docs/phases-and-reasons.md";

/// Which phases and reasons have no section.
pub fn check(root: &Path, crds: &[impl Serialize]) -> anyhow::Result<Vec<String>> {
    let page = fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let mut problems = Vec::new();
    for crd in crds {
        problems.extend(missing(&page, &serde_json::to_value(crd)?));
    }
    Ok(problems)
}

fn missing(page: &str, crd: &Value) -> Vec<String> {
    let status = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"];
    let words =
        ["phase", "reason"].into_iter().flat_map(|field| status[field]["enum"].as_array().into_iter().flatten());
    let explained = |word: &str| page.lines().any(|line| line.strip_prefix("### ") == Some(word));
    words
        .filter_map(Value::as_str)
        .filter(|word| !explained(word))
        .map(|word| format!("{PAGE} has no section {word}"))
        .collect()
}

#[cfg(test)]
mod tests;
