use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn find(pointer: &str, text: &str) -> Option<Leaf> {
    Pointer::parse(pointer)?.find(text.as_bytes())
}

/// What a parser that keeps everything finds.
fn expected(pointer: &str, value: &Value) -> Option<Leaf> {
    match value.pointer(pointer)? {
        Value::String(text) => Some(Leaf::Text(text.clone())),
        Value::Number(number) => Some(Leaf::Number(number.clone())),
        _ => None,
    }
}

#[test]
fn finds_what_a_parser_that_keeps_everything_finds() {
    let value = json!({
        "a": { "b": [1, "two", { "c": -3.5 }, [], null], "": "empty", "0": "zero" },
        "x/y": "slash", "m~n": "tilde", "t": true, "s": "\u{e9}\n", "n": u64::MAX,
    });
    let text = value.to_string();
    for pointer in [
        "", "/", "/a", "/a/b", "/a/b/0", "/a/b/1", "/a/b/2/c", "/a/b/3", "/a/b/4", "/a/b/5", "/a/b/01", "/a/b/+1",
        "/a/b/-", "/a/", "/a/0", "/x~1y", "/m~0n", "/m~n", "/t", "/s", "/s/0", "/n", "/n/n", "a", "a/b", "/A",
    ] {
        assert_eq!(find(pointer, &text), expected(pointer, &value), "{pointer}");
    }
    assert_eq!(find("", "\"whole\""), Some(Leaf::Text("whole".to_owned())));
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts() {
    assert_eq!(find("/a", r#"{"a": 1, "a": "2"}"#), Some(Leaf::Text("2".to_owned())));
}

#[test]
fn knows_json() {
    for text in ["{}", " 1\r", "\"a\"", "[1, {\"b\": null}]"] {
        assert!(is_json(text.as_bytes()), "{text}");
    }
    for text in ["", " ", "{", "{}{}", "nul", "1 2", "{'a': 1}"] {
        assert!(!is_json(text.as_bytes()), "{text}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(is_json(deep.as_bytes()));
    assert_eq!(find("/0/0", &deep), None);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c\"\\\\\u{e9}]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-b0-1/~]{0,2}", inner, 0..4)
                .prop_map(|map| Value::from_iter(map.into_iter())),
        ]
    })
}

proptest! {
    #[test]
    fn finds_the_same_in_any_value(value in values(), pointer in "(/([a-b0-2]|~0|~1){0,2}){0,4}") {
        prop_assert_eq!(find(&pointer, &value.to_string()), expected(&pointer, &value));
    }
}
