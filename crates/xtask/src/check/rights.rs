//! The rights that the chart gives: nothing is granted by a wildcard, and nobody lists or watches Secrets.

use anyhow::ensure;
use serde_json::Value;

/// What is wrong with the roles among `manifests`, a stream of YAML documents.
pub fn check(manifests: &str) -> anyhow::Result<Vec<String>> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(manifests)?;
    let roles: Vec<_> = objects.iter().filter(|object| is_role(object)).collect();
    ensure!(!roles.is_empty(), "there is no role among the manifests: was the chart rendered?");
    Ok(roles.into_iter().flat_map(problems).collect())
}

fn is_role(object: &Value) -> bool {
    matches!(object["kind"].as_str(), Some("Role" | "ClusterRole"))
}

fn problems(role: &Value) -> Vec<String> {
    let name = format!("{} {}", word(&role["kind"]), word(&role["metadata"]["name"]));
    let mut problems = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        for part in ["apiGroups", "resources", "verbs", "resourceNames", "nonResourceURLs"] {
            if words(&rule[part]).any(|word| word.contains('*')) {
                problems.push(format!("{name} has a wildcard among its {part}"));
            }
        }
        if words(&rule["resources"]).any(|resource| resource == "secrets") {
            problems.extend(secret_problems(&name, rule));
        }
    }
    problems
}

fn secret_problems(name: &str, rule: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for verb in words(&rule["verbs"]) {
        match verb {
            // The name of what is created is not known to the authorizer.
            "create" => {}
            "get" | "update" | "patch" | "delete" if words(&rule["resourceNames"]).next().is_some() => {}
            "get" | "update" | "patch" | "delete" => {
                problems.push(format!("{name} may {verb} every Secret: name them"))
            }
            _ => problems.push(format!("{name} may {verb} Secrets")),
        }
    }
    problems
}

fn words(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
