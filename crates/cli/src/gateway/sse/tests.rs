use proptest::prelude::*;

use super::{Decoder, MAX_EVENT, Message, TooLarge};

fn message(event: &str, data: &str) -> Message {
    Message { event: event.to_owned(), data: data.to_owned() }
}

fn decode(text: &str) -> Vec<Message> {
    Decoder::default().feed(text.as_bytes()).expect("small enough")
}

#[test]
fn reads_names_and_data() {
    assert_eq!(
        decode("id: 1-1\nevent: agent\ndata: {\"a\":1}\n\ndata:no space\n\n"),
        [message("agent", "{\"a\":1}"), message("message", "no space")]
    );
}

#[test]
fn skips_comments_and_unknown_fields() {
    assert_eq!(decode(": keep-alive\n\nretry: 10\nfoo: bar\nbare\n\ndata: x\n\n"), [message("message", "x")]);
}

#[test]
fn joins_lines_of_data() {
    assert_eq!(decode("data: one\ndata:\ndata:  two\n\n"), [message("message", "one\n\n two")]);
}

#[test]
fn takes_all_three_line_ends() {
    assert_eq!(decode("data: a\r\n\r\ndata: b\r\rdata: c\n\n"), ["a", "b", "c"].map(|d| message("message", d)));
}

#[test]
fn a_line_end_split_between_chunks_is_one() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.feed(b"data: a\r"), Ok(vec![]));
    assert_eq!(decoder.feed(b"\ndata: b\r\n\r"), Ok(vec![message("message", "a\nb")]));
    assert_eq!(decoder.feed(b"\n"), Ok(vec![]));
}

#[test]
fn hears_an_end_without_data() {
    assert_eq!(decode("event: end\n\n"), [message("end", "")]);
}

#[test]
fn skips_a_byte_order_mark_at_the_beginning_only() {
    assert_eq!(
        decode("\u{feff}data: a\n\n\u{feff}data: b\n\ndata: \u{feff}c\n\n"),
        [message("message", "a"), message("message", "\u{feff}c")]
    );
}

#[test]
fn an_event_that_never_ends_is_refused() {
    let mut decoder = Decoder::default();
    let line = format!("data: {}\n", "x".repeat(60 * 1024));
    let fed = (0..=MAX_EVENT / (60 * 1024)).try_for_each(|_| decoder.feed(line.as_bytes()).map(|_| ()));
    assert_eq!(fed, Err(TooLarge));
}

/// A message as a server would write it, with the line end of its choice.
fn written(message: &Message, end: &str) -> String {
    let data: String = message.data.split('\n').map(|line| format!("data: {line}{end}")).collect();
    format!(": comment{end}event: {}{end}id: 1-1{end}{data}{end}", message.event)
}

proptest! {
    #[test]
    fn reads_the_same_however_it_is_split(
        messages in prop::collection::vec(("[a-z]{1,8}", "[^\\r\u{feff}]{0,40}"), 0..6),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let messages: Vec<Message> = messages.iter().map(|(event, data)| message(event, data)).collect();
        let bytes: Vec<u8> = messages.iter().flat_map(|m| written(m, end).into_bytes()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut decoder = Decoder::default();
        let mut read = Vec::new();
        for pair in cuts.windows(2) {
            read.extend(decoder.feed(&bytes[pair[0]..pair[1]]).expect("small enough"));
        }
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = Decoder::default().feed(&bytes);
    }
}
