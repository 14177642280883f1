use super::*;

const FIRST: EventId = EventId { attempt: 2, sequence: 7 };

fn line(id: &str, text: &str) -> String {
    serde_json::json!({"id": id, "time": "2026-01-01T00:00:00.000Z", "type": "agent", "text": text}).to_string() + "\n"
}

#[test]
fn lines_become_a_chunk_and_lines_again() {
    let bytes = line("2-7", "a") + &line("2-8", "b\nc");
    let chunk = LogChunk::parse(FIRST, bytes.as_bytes()).unwrap();
    assert_eq!(chunk.events().iter().map(|e| e.text.as_str()).collect::<Vec<_>>(), ["a", "b\nc"]);
    assert_eq!(LogChunk::parse(FIRST, &chunk.to_lines()), Ok(chunk.clone()));
    let rest = chunk.clone().skip(1).unwrap();
    assert_eq!((rest.first.sequence, rest.events().len()), (8, 1));
    assert_eq!(chunk.skip(2), None);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let message = |bytes: &str| LogChunk::parse(FIRST, bytes.as_bytes()).unwrap_err().to_string();
    assert_eq!(message("\n"), "a piece of a log holds at least one event");
    assert!(message(&(line("2-7", "") + "{}\n")).starts_with("line 2 is not an event: missing field"));
    assert_eq!(message(&(line("2-7", "") + &line("2-9", ""))), "line 2 is event 2-9, but 2-8 is next");
    assert_eq!(message(&line("1-7", "")), "line 1 is event 1-7, but 2-7 is next");
    assert!(message(&line("2-7", &"x".repeat(MAX_TEXT + 1))).starts_with("the text of line 1 has more than"));
    assert!(message(&"x".repeat(MAX_CHUNK + 1)).starts_with("a piece of a log has at most"));
    assert_eq!(LogChunk::parse(EventId { attempt: 1, sequence: u64::MAX }, b""), Err(InvalidChunk::Numbers));
    assert_eq!(LogChunk::parse(EventId::START, b""), Err(InvalidChunk::Numbers));
}

#[test]
fn a_time_is_rfc_3339_and_of_bounded_length() {
    let with = |time: &str| {
        let line = line("2-7", "a").replace("2026-01-01T00:00:00.000Z", time);
        LogChunk::parse(FIRST, line.as_bytes()).err()
    };
    for time in ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789+01:00"] {
        assert_eq!(with(time), None, "{time}");
    }
    let long = format!("2026-01-01T00:00:00.{}Z", "0".repeat(1000));
    for time in
        ["", "now", "2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00Z[UTC]", "2026-01-01T00:00:00", &long]
    {
        assert_eq!(with(time), Some(InvalidChunk::Time(1)), "{time}");
    }
}

#[test]
fn the_length_of_a_line_is_that_of_what_is_stored() {
    let bytes = line("2-7", "\u{1}\"\n\u{1}");
    let chunk = LogChunk::parse(FIRST, bytes.as_bytes()).unwrap();
    assert_eq!(line_length(&chunk.events()[0]), chunk.to_lines().len());
}
