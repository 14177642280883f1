use drover_api::log::{Kind, Stream};
use proptest::{collection::vec, prelude::*};

use super::*;

fn piece(text: &str, partial: bool) -> Output {
    Output { kind: Kind::Agent, stream: Some(Stream::Stdout), text: text.to_owned(), partial }
}

fn tail(pieces: &[Output]) -> String {
    let mut tail = Tail::default();
    tail.add(pieces);
    tail.lines()
}

#[test]
fn a_short_text_is_kept_whole_without_the_blank_lines_behind_it() {
    assert_eq!(tail(&[]), "");
    assert_eq!(tail(&[piece("one", false), piece("", false), piece("tw", true), piece("o ", false)]), "one\n\ntwo");
    assert_eq!(tail(&[piece("one", false), piece("", false), piece("  ", false)]), "one");
}

#[test]
fn of_a_long_text_whole_lines_are_kept() {
    let lines: Vec<Output> = (0..10_000).map(|number| piece(&format!("line {number}"), false)).collect();
    let kept = tail(&lines);
    assert!(kept.starts_with("line ") && kept.ends_with("\nline 9999"), "{kept}");
    assert!((MAX_SAID - 10..=MAX_SAID).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn of_a_long_line_the_end_is_kept() {
    let kept = tail(&[piece("first", false), piece(&"x".repeat(9_000), true), piece("\u{20ac}end", false)]);
    assert!(kept.ends_with("x\u{20ac}end") && kept.starts_with('x'));
    assert_eq!(kept.len(), MAX_SAID);
    let kept = tail(&[piece(&"\u{20ac}".repeat(5_000), false)]);
    assert_eq!(kept, "\u{20ac}".repeat(MAX_SAID / 3));
}

#[test]
fn a_line_that_just_fits_is_kept_whole() {
    let text = format!("cut\n{}", "y".repeat(MAX_SAID));
    assert_eq!(last_lines(&text), "y".repeat(MAX_SAID));
}

proptest! {
    #[test]
    fn an_end_within_its_bound(lines in vec("(\\PC{0,40}|x{3000})", 0..40), partial in vec(any::<bool>(), 40)) {
        let pieces: Vec<Output> = lines.iter().zip(partial).map(|(line, partial)| piece(line, partial)).collect();
        let whole: String = pieces.iter().map(|p| format!("{}{}", p.text, if p.partial { "" } else { "\n" })).collect();
        let kept = tail(&pieces);
        prop_assert!(kept.len() <= MAX_SAID);
        prop_assert!(whole.trim_end().ends_with(&kept));
    }
}
