use super::*;

#[test]
fn ends_and_beginnings_are_bounded_as_json_writes_them() {
    for text in ["plain", "\"\\\n\t\u{8}\u{c}\r", "\u{1}\u{1f}\u{7f}", "äöü🐎", ""] {
        for limit in 0..24 {
            for part in [beginning_in_json(text, limit), end_in_json(text, limit)] {
                assert!(serde_json::to_string(part).unwrap().len() - 2 <= limit, "{part:?} {limit}");
            }
            assert!(text.starts_with(beginning_in_json(text, limit)) && text.ends_with(end_in_json(text, limit)));
        }
        assert_eq!((beginning_in_json(text, 99), end_in_json(text, 99)), (text, text));
    }
    assert_eq!((beginning_in_json("a\"bc", 3), end_in_json("a\"bc", 3)), ("a\"", "bc"));
}
