//! The chart's values and the page that lists them name the same.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

const VALUES: &str = "charts/drover/values.yaml";
const PAGE: &str = "docs/reference/values.md";
/// Maps whose keys are the user's own.
const OPEN: [&str; 1] = ["frameworks"];

/// Values that the page does not list, and what it lists that is no value.
pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let values = serde_saphyr::from_str(&fs::read_to_string(root.join(VALUES))?)?;
    Ok(differences(&values, &fs::read_to_string(root.join(PAGE))?))
}

fn differences(values: &Value, page: &str) -> Vec<String> {
    let mut known = BTreeSet::new();
    paths(values, "", &mut known);
    let groups: Vec<_> = values.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let listed: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(path, _)| path.to_owned())
        .filter(|path| groups.contains(&path.split('.').next().unwrap_or_default()))
        .collect();
    let missing = known.difference(&listed).map(|path| format!("{PAGE} does not list {path}"));
    let extra = listed.difference(&known).map(|path| format!("{PAGE} lists {path}, which {VALUES} does not have"));
    missing.chain(extra).collect()
}

/// The paths of all values that are not groups of others.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) if !OPEN.contains(&path) && !path.ends_with(".resources") => {
            for (name, value) in fields {
                paths(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
