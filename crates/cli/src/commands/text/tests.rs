use std::fs;

use super::Text;

const TEXT: Text = Text { what: "prompt", empty: "say what the agent is to do", longest: 100 };

#[test]
fn a_text_can_come_from_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "echo a\necho b\n").unwrap();
    assert_eq!(TEXT.read(None, Some(file.path())).unwrap(), "echo a\necho b\n");
}

#[test]
fn a_text_that_the_api_would_refuse_is_refused_here() {
    let message = |text: &str| TEXT.read(Some(text), None).unwrap_err().to_string();
    assert_eq!(message(" \n"), "the prompt is empty: say what the agent is to do");
    assert!(message(&"x".repeat(101)).starts_with("the prompt is longer than 100 characters"));
    assert!(TEXT.read(Some(&"ü".repeat(100)), None).is_ok());

    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "x".repeat(800)).unwrap();
    assert!(TEXT.read(None, Some(file.path())).unwrap_err().to_string().contains("longer than"));
    fs::write(file.path(), b"\xff").unwrap();
    assert!(format!("{:#}", TEXT.read(None, Some(file.path())).unwrap_err()).contains("not UTF-8"));
}
