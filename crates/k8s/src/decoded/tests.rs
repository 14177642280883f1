use k8s_openapi::api::core::v1::ConfigMap;

use super::*;

#[test]
fn one_object_that_cannot_be_read_does_not_spoil_the_list() {
    let list = r#"[{ "metadata": { "name": "good" } }, { "metadata": { "name": "bad" }, "data": 7 }]"#;
    let list: Vec<Decoded<ConfigMap>> = serde_json::from_str(list).unwrap();
    assert!(matches!(&list[0], Decoded::Readable(map) if map.metadata.name.as_deref() == Some("good")), "{list:?}");
    assert!(matches!(&list[1], Decoded::Unreadable { why, .. } if why.contains("map")), "{list:?}");
    assert_eq!(list[1].meta().name.as_deref(), Some("bad"));
}
