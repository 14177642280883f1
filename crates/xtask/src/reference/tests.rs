use serde_json::json;

use super::*;

fn page() -> String {
    markdown(&json!({
        "spec": {
            "group": "drover.dev",
            "names": { "kind": "Thing", "plural": "things", "shortNames": ["th"] },
            "versions": [{
                "name": "v1",
                "additionalPrinterColumns": [{ "name": "Age", "jsonPath": ".metadata.creationTimestamp", "priority": 1 }],
                "schema": { "openAPIV3Schema": {
                    "description": "A thing\nof <some> kind.\n\nMore.",
                    "properties": {
                        "spec": {
                            "required": ["names"],
                            "properties": { "names": {
                                "type": "array",
                                "maxItems": 3,
                                "items": {
                                    "type": "object",
                                    "properties": { "colour": { "type": "string", "enum": ["red", null], "default": "red" } },
                                    "x-kubernetes-validations": [{ "rule": "true", "message": "must be so" }],
                                },
                            }},
                        },
                        "status": {},
                    },
                }},
            }],
        },
    }))
    .unwrap()
}

#[test]
fn the_head_says_what_it_is_and_how_to_ask_for_it() {
    let page = page();
    assert!(page.contains("# Thing\n\nA thing of &lt;some> kind.\n\nMore.\n"), "{page}");
    assert!(page.contains("`apiVersion: drover.dev/v1`, `kind: Thing`; `kubectl get things`, short `th`."), "{page}");
    assert!(page.contains("| Age | `.metadata.creationTimestamp` | with `-o wide` |"), "{page}");
}

#[test]
fn every_field_has_a_section_with_its_bounds_values_and_rules() {
    let page = page();
    assert!(
        page.contains("### `spec.names`\n\n*list of object, required, at most 3 entries*\n\n- Rule: must be so\n"),
        "{page}"
    );
    assert!(page.contains("### `spec.names[].colour`\n\n*string, default `\"red\"`*\n\nOne of `red`."), "{page}");
}
