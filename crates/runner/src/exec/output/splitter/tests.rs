use proptest::{collection::vec, prelude::*};

use super::*;

/// The pieces of `bytes`, which arrive cut at the given places.
fn split(bytes: &[u8], cuts: &[usize]) -> Vec<Output> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let (mut splitter, mut pieces) = (Splitter::new(Kind::Agent, Stream::Stdout), Vec::new());
    for pair in cuts.windows(2) {
        splitter.push(&bytes[pair[0]..pair[1]], &mut pieces);
    }
    splitter.end(&mut pieces);
    pieces
}

/// Whole lines, put together again.
fn lines(pieces: &[Output]) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in pieces {
        lines.last_mut().unwrap().push_str(&piece.text);
        if !piece.partial {
            lines.push(String::new());
        }
    }
    assert_eq!(lines.pop().unwrap(), "", "the last piece ends its line");
    lines
}

/// What a reader with unbounded memory makes of the same bytes.
fn expected(bytes: &[u8]) -> Vec<String> {
    let mut parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if parts.last().is_some_and(|last| last.is_empty()) {
        parts.pop();
    }
    parts.iter().map(|line| String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()).collect()
}

#[test]
fn cuts_lines_and_keeps_a_last_line_without_end() {
    assert_eq!(lines(&split(b"one\r\n\ntwo\nthree", &[])), ["one", "", "two", "three"]);
    assert!(split(b"", &[]).is_empty());
}

#[test]
fn a_long_line_comes_in_pieces_between_characters() {
    let line = "\u{e9}".repeat(MAX_TEXT);
    let pieces = split(line.as_bytes(), &[]);
    assert_eq!(pieces.len(), 2);
    assert_eq!((pieces[0].partial, pieces[1].partial), (true, false));
    assert_eq!(lines(&pieces), [line]);
    // Exactly one text is no reason for a second piece, and an odd limit is kept.
    assert_eq!(split(&vec![b'x'; MAX_TEXT], &[]).len(), 1);
    let odd = format!("x{}", "\u{e9}".repeat(MAX_TEXT));
    assert!(split(odd.as_bytes(), &[]).iter().all(|piece| piece.text.len() <= MAX_TEXT));
}

#[test]
fn bytes_that_are_not_text_stay_within_the_limit() {
    let pieces = split(&vec![0xff; 3 * MAX_TEXT], &[]);
    assert!(pieces.iter().all(|piece| piece.text.len() <= MAX_TEXT && !piece.text.is_empty()));
    assert_eq!(lines(&pieces), ["\u{FFFD}".repeat(3 * MAX_TEXT)]);
}

/// Bytes in which line ends, long runs, whole and broken characters are frequent.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => Just(b"\n".to_vec()),
        2 => Just(b"\r".to_vec()),
        3 => "[a-z ]{0,12}".prop_map(String::into_bytes),
        3 => "\\PC{0,6}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..6),
        1 => (any::<u8>(), 1..2 * MAX_TEXT).prop_map(|(byte, length)| vec![byte; length]),
        1 => (1..MAX_TEXT).prop_map(|length| "\u{20ac}".repeat(length).into_bytes()),
    ];
    vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn how_bytes_arrive_does_not_matter(bytes in output(), cuts in vec(any::<usize>(), 0..24)) {
        let pieces = split(&bytes, &cuts);
        prop_assert_eq!(&pieces, &split(&bytes, &[]));
        prop_assert!(pieces.iter().all(|piece| piece.text.len() <= MAX_TEXT));
        prop_assert_eq!(lines(&pieces), expected(&bytes));
    }
}
