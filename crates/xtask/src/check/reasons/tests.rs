use serde_json::json;

use super::*;

#[test]
fn a_word_without_a_section_is_named() {
    let status = json!({ "properties": { "phase": { "enum": ["Pending"] }, "reason": { "enum": ["Idle", null] } } });
    let crd = json!({ "spec": { "versions": [{ "schema": { "openAPIV3Schema": { "properties": { "status": status } } } }] } });
    assert_eq!(missing("### Pending\n\n#### Idle\n", &crd), ["docs/phases-and-reasons.md has no section Idle"]);
    assert!(missing("### Pending\n### Idle\n", &crd).is_empty());
}
