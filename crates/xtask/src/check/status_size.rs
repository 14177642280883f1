//! The largest status that a schema lets through, so that no object grows beyond what the API server stores well.

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

/// No status may be larger, encoded as JSON, in bytes.
const CAP: usize = 64 * 1024;
/// A character of free text, in bytes: Drover cuts texts to as many bytes as the schema allows characters, and a quote
/// or a line's end takes two bytes in JSON.
const CHARACTER: usize = 2;
/// The longest number or truth value, in bytes.
const NUMBER: usize = 24;
/// The longest time, RFC 3339 with nanoseconds and an offset, with its quotes.
const TIME: usize = 40;

/// Whose status can be too large, or has no bound.
pub fn check(crds: &[impl Serialize]) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for crd in crds {
        let crd = serde_json::to_value(crd)?;
        let kind = crd["spec"]["names"]["kind"].as_str().context("a definition has a kind")?.to_owned();
        for version in crd["spec"]["versions"].as_array().into_iter().flatten() {
            match largest(&version["schema"]["openAPIV3Schema"]["properties"]["status"], "status") {
                Ok(size) if size > CAP => {
                    problems.push(format!("{kind}: a status can have {size} bytes, {CAP} are the most"));
                }
                Ok(_) => {}
                Err(path) => problems.push(format!("{kind}: the schema sets no bound to {path}")),
            }
        }
    }
    Ok(problems)
}

/// The largest JSON that satisfies `schema`, in bytes; the path of what has no bound otherwise.
fn largest(schema: &Value, path: &str) -> Result<usize, String> {
    let bound = |keyword: &str| {
        let bound = schema[keyword].as_u64().ok_or_else(|| path.to_owned())?;
        usize::try_from(bound).map_err(|_| path.to_owned())
    };
    if let Some(values) = schema["enum"].as_array() {
        return Ok(values.iter().map(|value| value.to_string().len()).max().unwrap_or(0));
    }
    match schema["type"].as_str() {
        Some("integer" | "number" | "boolean") => Ok(NUMBER),
        Some("string") if schema["format"] == "date-time" => Ok(TIME),
        Some("string") => Ok(bound("maxLength")? * character(schema) + "\"\"".len()),
        Some("array") => {
            let item = largest(&schema["items"], &format!("{path}[]"))?;
            Ok(bound("maxItems")? * (item + ",".len()) + "[]".len())
        }
        Some("object") if schema["properties"].is_object() => {
            let mut size = "{}".len();
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                size += name.len() + "\"\":,".len() + largest(property, &format!("{path}.{name}"))?;
            }
            Ok(size)
        }
        _ => Err(path.to_owned()),
    }
}

/// The largest character of a text in bytes: one, where its pattern allows only letters, digits, `-` and `_`.
fn character(schema: &Value) -> usize {
    let plain = |pattern: &str| pattern.chars().all(|c| c.is_ascii_alphanumeric() || "^$[]()*?+{},-_".contains(c));
    if schema["pattern"].as_str().is_some_and(plain) { 1 } else { CHARACTER }
}

#[cfg(test)]
mod tests;
