use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::*;

#[test]
fn one_object_that_cannot_be_read_does_not_spoil_the_list() {
    let list = json!([{ "metadata": { "name": "good" } }, { "metadata": { "name": "bad" }, "data": 7 }]);
    let list: Vec<Decoded<ConfigMap>> = serde_json::from_value(list).unwrap();
    assert!(list[0].object.is_ok());
    assert!(list[1].object.as_ref().is_err_and(|why| why.contains("data") || why.contains("map")), "{list:?}");
    assert_eq!(list[1].meta().name.as_deref(), Some("bad"));
}
