use super::*;

fn answer(text: &str) -> Failure {
    Failure::Answer { status: StatusCode::PAYLOAD_TOO_LARGE, text: text.to_owned() }
}

#[test]
fn a_detail_is_one_bounded_line() {
    let problem = |detail: &str| answer(&serde_json::json!({ "title": "No", "detail": detail }).to_string());
    assert_eq!(problem("only\n64").detail().as_deref(), Some("only 64"));
    assert_eq!(problem(&"é".repeat(300)).detail(), Some("é".repeat(MAX_DETAIL / 2)));
    for silent in [problem(" "), answer("<html>"), answer(r#"{"title":"No"}"#)] {
        assert_eq!(silent.detail(), None, "{silent}");
    }
}

#[test]
fn an_error_shows_only_the_beginning_of_an_answer() {
    assert!(answer(&"x".repeat(MAX_REFUSAL)).to_string().len() < 2 * SHOWN_REFUSAL);
}
