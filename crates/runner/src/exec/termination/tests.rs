use drover_api::state::Reason;

use super::*;

fn written(message: &str) -> Vec<u8> {
    encode(&Termination { reason: Reason::CommandNotFound, message: message.to_owned() })
}

#[test]
fn says_the_reason_and_the_message() {
    let encoded = String::from_utf8(written("no\nsuch command")).unwrap();
    assert_eq!(encoded, r#"{"reason":"CommandNotFound","message":"no such command"}"#);
}

#[test]
fn keeps_its_bounds_whatever_the_message() {
    for message in ["x".repeat(5_000), "\"".repeat(5_000), "\u{1F40E}".repeat(5_000), "\u{7}".repeat(5_000)] {
        let encoded = written(&message);
        assert!(encoded.len() <= MAX_BYTES, "{}", encoded.len());
        let decoded: Termination = serde_json::from_slice(&encoded).unwrap();
        assert!(decoded.message.len() > 500 && decoded.message.len() <= MAX_MESSAGE);
    }
}

#[test]
fn what_the_agent_left_in_the_file_does_not_stay() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), r#"{"reason":"OutOfMemory","message":"forged"}"#).unwrap();
    TerminationFile::new(file.path().to_owned()).write(None);
    assert_eq!(fs::read(file.path()).unwrap(), b"");
}
