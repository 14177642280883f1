use super::*;

#[test]
fn a_file_name_cannot_leave_its_header() {
    assert_eq!(disposition("report.txt"), "attachment; filename=\"report.txt\"; filename*=UTF-8''report.txt");
    assert_eq!(
        disposition("a\"b\r\nX: ü.txt"),
        "attachment; filename=\"a_b__X_ _.txt\"; filename*=UTF-8''a%22b%0D%0AX%3A%20%C3%BC.txt"
    );
}

#[test]
fn a_known_tag_is_found_in_every_spelling() {
    let known = |value: &str| {
        is_known(&HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(value).unwrap())]), "\"abc\"")
    };
    assert!(known("\"abc\"") && known("W/\"abc\"") && known("\"x\", \"abc\"") && known("*"));
    assert!(!known("abc") && !known("\"abcd\""));
    assert!(!is_known(&HeaderMap::new(), "\"abc\""));
}
