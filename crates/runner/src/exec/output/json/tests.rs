use drover_api::log::MAX_TEXT;
use proptest::{collection::vec, prelude::*};

use super::*;

fn pointer(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn pointers() -> JsonLines {
    JsonLines {
        text: pointer("/say"),
        question: pointer("/ask"),
        resume_id: pointer("/session/id"),
        usage: Some(UsagePointers {
            input_tokens: pointer("/usage/in"),
            output_tokens: pointer("/usage/out"),
            cache_read_tokens: pointer("/usage/0"),
            cache_write_tokens: None,
        }),
    }
}

/// What becomes of bytes that arrive cut at the given places.
fn read_cut(bytes: &[u8], cuts: &[usize]) -> (Vec<Output>, TurnEnd) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let (mut reader, mut pieces) = (JsonReader::new(&pointers()), Vec::new());
    for pair in cuts.windows(2) {
        reader.push(&bytes[pair[0]..pair[1]], &mut pieces);
    }
    reader.end(&mut pieces);
    (pieces, reader.said())
}

fn read(text: &str) -> (Vec<(Kind, String)>, TurnEnd) {
    let (pieces, said) = read_cut(text.as_bytes(), &[]);
    (pieces.into_iter().map(|piece| (piece.kind, piece.text)).collect(), said)
}

fn said(text: &str) -> TurnEnd {
    read(text).1
}

#[test]
fn what_is_said_is_shown_as_it_is_read_and_the_rest_as_it_is() {
    let (lines, said) = read(concat!(
        r#"{"say": "Hello\nthere", "n": 1}"#,
        "\r\n",
        r#"  {"call": "ls", "say": 5}"#,
        "\nnot JSON {\n\n",
        r#"{"ask": "Why?"}"#,
        "\n42\n",
        r#"{"say": "Bye \n"}"#,
    ));
    let line = |kind, text: &str| (kind, text.to_owned());
    let expected = [
        line(Kind::Agent, "Hello"),
        line(Kind::Agent, "there"),
        line(Kind::Tool, r#"  {"call": "ls", "say": 5}"#),
        line(Kind::Agent, "not JSON {"),
        line(Kind::Agent, ""),
        line(Kind::Agent, "Why?"),
        line(Kind::Tool, "42"),
        line(Kind::Agent, "Bye "),
    ];
    assert_eq!(lines, expected);
    assert_eq!((said.result.as_str(), said.question.as_deref()), ("Bye", Some("Why?")));
    assert_eq!((said.resume_id, said.usage), (None, None));
}

#[test]
fn the_last_value_counts() {
    let said = said(concat!(
        r#"{"say": "a", "ask": "1?", "session": {"id": "x"}, "usage": {"in": 1, "out": 2}}"#,
        "\n",
        r#"{"say": "", "ask": null, "session": {"id": "y"}, "usage": {"out": 5.0, "in": -1}}"#,
        "\n",
        r#"{"say": "b", "session": [], "usage": [7]}"#,
        "\n",
    ));
    let usage = Usage { input_tokens: 1, output_tokens: 5, cache_read_tokens: 7, cache_write_tokens: 0 };
    let expected = TurnEnd {
        result: "b".to_owned(),
        question: Some("1?".to_owned()),
        resume_id: Some("y".to_owned()),
        usage: Some(usage),
    };
    assert_eq!(said, expected);
}

#[test]
fn a_question_can_be_taken_back() {
    assert_eq!(said("{\"ask\": \"Why?\"}\n{\"ask\": \"\"}\n").question, None);
}

#[test]
fn a_resume_id_that_cannot_be_kept_is_told_once() {
    for id in ["", "a\\u0000b", &"x".repeat(257)] {
        let line = format!("{{\"session\": {{\"id\": \"{id}\"}}}}\n");
        let (lines, said) = read(&format!("{{\"session\": {{\"id\": \"good\"}}}}\n{line}{line}"));
        assert_eq!(said.resume_id.as_deref(), Some("good"));
        let problems = lines.iter().filter(|(kind, _)| *kind == Kind::Error).count();
        assert_eq!((problems, lines.len()), (1, 4));
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let long = "\u{20ac}".repeat(10_000);
    let said = said(&format!("{{\"say\": \"first\\n{long}\", \"ask\": \"{long}\"}}\n"));
    assert!(said.result.len() <= MAX_SAID && said.question.unwrap().len() <= MAX_SAID);
    assert!(said.result.len() > MAX_SAID - 3 && !said.result.contains("first"));
}

#[test]
fn a_line_that_is_too_long_is_shown_and_not_parsed() {
    let text = "x".repeat(MAX_LINE);
    let line = format!("{{\"say\": \"{text}\"}}");
    let (lines, said) = read(&format!("{line}\n{{\"say\": \"after\"}}\n"));
    assert_eq!(said.result, "after");
    let shown: String = lines[..lines.len() - 1].iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(shown, line);
    assert_eq!(lines.last().unwrap().1, "after");
}

#[test]
fn a_line_is_parsed_up_to_the_bound() {
    let line = |length: usize| format!("{{\"say\": \"{}\"}}", "x".repeat(length - 11));
    assert_eq!(line(100).len(), 100);
    assert_ne!(said(&line(MAX_LINE)).result, "");
    assert_eq!(said(&line(MAX_LINE + 1)).result, "");
}

#[test]
fn numbers_that_no_counter_holds_are_bounded() {
    let usage = said("{\"usage\": {\"in\": 1e300, \"out\": 18446744073709551615}}\n").usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (i64::MAX, i64::MAX));
}

#[test]
fn a_value_can_be_the_whole_line() {
    let mut reader = JsonReader::new(&JsonLines { text: pointer(""), ..JsonLines::default() });
    reader.push(b"\"hi\"\n{\"not\": \"a string\"}\n", &mut Vec::new());
    assert_eq!(reader.said().result, "hi");
}

/// Bytes in which JSON lines, long ones among them, and other lines are frequent.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => Just(b"\n".to_vec()),
        3 => "\\{\"(say|ask)\": \"[a-z ]{0,12}\"\\}\n".prop_map(String::into_bytes),
        2 => "\\{\"session\": \\{\"id\": \"[a-z]{0,12}\"\\}\\}\n".prop_map(String::into_bytes),
        2 => "\\PC{0,6}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..6),
        1 => (1..2 * MAX_TEXT).prop_map(|length| format!("{{\"say\": \"{}\"}}\n", "y".repeat(length)).into_bytes()),
        1 => (MAX_LINE - 2..MAX_LINE + 3).prop_map(|length| format!("{}7\n", " ".repeat(length - 1)).into_bytes()),
    ];
    vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn how_bytes_arrive_does_not_matter(bytes in output(), cuts in vec(any::<usize>(), 0..24)) {
        let (pieces, said) = read_cut(&bytes, &cuts);
        prop_assert_eq!((&pieces, &said), (&read_cut(&bytes, &[]).0, &read_cut(&bytes, &[]).1));
        prop_assert!(pieces.iter().all(|piece| piece.text.len() <= MAX_TEXT));
        prop_assert!(said.result.len() <= MAX_SAID);
    }
}
