use http::StatusCode;

use super::{SessionRef, encode, problem_text};

#[test]
fn encodes_everything_but_unreserved_characters_and_slashes() {
    assert_eq!(encode("out/a b?#%ü.txt"), "out/a%20b%3F%23%25%C3%BC.txt");
    assert_eq!(SessionRef { namespace: "team", name: "x" }.path("logs"), "/api/v1/namespaces/team/sessions/x/logs");
}

#[test]
fn says_what_the_problem_says() {
    let status = StatusCode::FORBIDDEN;
    assert_eq!(problem_text(status, br#"{"title":"Forbidden","status":403,"detail":"ask for get"}"#), "ask for get");
    assert_eq!(problem_text(status, br#"{"title":"No"}"#), "No");
    assert_eq!(problem_text(status, b"<html>"), "Forbidden");
}
