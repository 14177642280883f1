use serde_json::json;

use super::*;

fn crd(status: &Value) -> Value {
    json!({
        "spec": {
            "names": { "kind": "Thing" },
            "versions": [{ "schema": { "openAPIV3Schema": { "properties": { "status": status } } } }],
        },
    })
}

#[test]
fn drovers_own_kinds_are_bounded() {
    assert_eq!(check(&drover_api::crds()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_text_without_a_bound_is_named_by_its_path() {
    let status = json!({ "type": "object", "properties": {
        "turns": { "type": "array", "maxItems": 3, "items": { "type": "object", "properties": { "text": { "type": "string" } } } },
    }});
    assert_eq!(check(&[crd(&status)]).unwrap(), ["Thing: the schema sets no bound to status.turns[].text"]);
}

#[test]
fn what_can_be_too_large_is_said_with_its_size() {
    let status = |items: u64| {
        let items = json!({ "type": "array", "maxItems": items, "items": { "type": "string", "maxLength": 1024 } });
        json!({ "type": "object", "properties": { "turns": items } })
    };
    assert_eq!(check(&[crd(&status(31))]).unwrap(), Vec::<String>::new());
    assert_eq!(check(&[crd(&status(32))]).unwrap(), ["Thing: a status can have 65645 bytes, 65536 are the most"]);
}

#[test]
fn the_estimate_is_not_below_what_serde_writes() {
    let schema = json!({ "type": "object", "properties": {
        "phase": { "type": "string", "enum": ["Pending", "Succeeded"] },
        "names": { "type": "array", "maxItems": 2, "items": { "type": "string", "maxLength": 4 } },
        "size": { "type": "integer" },
    }});
    let filled = json!({ "phase": "Succeeded", "names": ["\"\"\"\"", "\n\n\n\n"], "size": i64::MIN }).to_string();
    assert!(largest(&schema, "status").unwrap() >= filled.len());
}
