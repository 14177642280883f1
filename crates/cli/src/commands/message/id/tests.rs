use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{of, with_chance, words};

#[test]
fn an_id_tells_what_the_message_says() {
    assert_eq!(words("Fix the tests, please!"), "fix-the-tests-please");
    assert_eq!(words("Use main. Then rebase onto it and run everything"), "use-main-then-rebase-onto-it");
    assert_eq!(words("¿Qué?"), "qu");
    assert_eq!(words("…"), "message");
    assert_eq!(words(&"x".repeat(100)), "message");
    assert_eq!(with_chance("Yes", 0), "yes-bbbbb");
}

#[test]
fn the_same_words_get_other_ids() {
    let ids: BTreeSet<String> = (0..64).map(|_| of("yes")).collect();
    assert!(ids.len() > 60, "{ids:?}");
}

proptest! {
    #[test]
    fn the_api_takes_every_id(text in ".{0,80}", chance in any::<u64>()) {
        let id = with_chance(&text, chance);
        prop_assert!(id.len() <= 63 && id != "prompt", "{id}");
        prop_assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
        prop_assert!(!id.starts_with('-') && !id.ends_with('-'), "{id}");
    }
}
