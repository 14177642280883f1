use serde_json::json;

use super::*;

#[test]
fn a_page_that_lists_everything_once_is_right() {
    let values = json!({ "log": "info", "gateway": { "url": "", "resources": { "limits": {} } }, "frameworks": { "shell": {} } });
    let page =
        "| `log` | |\n| `gateway.url` | |\n| `gateway.resources` | |\n| `frameworks` | |\n| `command` | no value |\n";
    assert_eq!(differences(&values, page), Vec::<String>::new());
}

#[test]
fn what_is_missing_or_gone_is_named() {
    let values = json!({ "gateway": { "url": "" } });
    assert_eq!(
        differences(&values, "| `gateway.old` | |\n"),
        [
            "docs/reference/values.md does not list gateway.url",
            "docs/reference/values.md lists gateway.old, which charts/drover/values.yaml does not have",
        ]
    );
}
