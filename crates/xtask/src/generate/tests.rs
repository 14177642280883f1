use std::fs;

use super::*;

#[test]
fn what_was_written_does_not_differ() {
    let root = tempfile::tempdir().unwrap();
    write(root.path()).unwrap();
    assert_eq!(differences(root.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn an_edited_file_differs_until_it_is_written_again() {
    let root = tempfile::tempdir().unwrap();
    write(root.path()).unwrap();
    let edited = root.path().join("crds/sessions.drover.dev.yaml");
    fs::write(&edited, "edited").unwrap();
    assert_eq!(
        differences(root.path()).unwrap(),
        ["crds/sessions.drover.dev.yaml is not what the code says: run `make generate`"]
    );
    write(root.path()).unwrap();
    assert_eq!(differences(root.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_definition_that_is_gone_is_removed() {
    let root = tempfile::tempdir().unwrap();
    write(root.path()).unwrap();
    let stale = root.path().join("charts/drover/files/crds/old.yaml");
    fs::write(&stale, "").unwrap();
    assert_eq!(differences(root.path()).unwrap().len(), 1);
    write(root.path()).unwrap();
    assert!(!stale.exists());
}

#[test]
fn the_charts_definitions_outlive_the_release_and_are_the_same_otherwise() {
    for crd in drover_api::crds() {
        let plain = serde_json::to_value(crd).unwrap();
        let mut kept = kept(plain.clone());
        assert_eq!(kept["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
        kept["metadata"].as_object_mut().unwrap().remove("annotations");
        assert_eq!(kept, plain);
    }
}

#[test]
fn yaml_reads_back_as_the_definition() {
    for crd in drover_api::crds() {
        let crd = serde_json::to_value(crd).unwrap();
        let read: Value = serde_saphyr::from_str(&yaml(&crd).unwrap()).unwrap();
        assert_eq!(numbers_as_floats(read), numbers_as_floats(crd));
    }
}

/// `0` and `0.0` are the same number in both formats.
fn numbers_as_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(numbers_as_floats).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, numbers_as_floats(value))).collect(),
        other => other,
    }
}
