//! Ids for messages that nobody named: a few words of the text to know them by, and a few characters by chance.

use std::hash::{BuildHasher, RandomState};

/// How much of the text an id takes, in characters.
const WORDS: usize = 30;
/// How many characters follow by chance: enough for 64 messages of the same words to differ.
const CHANCE: u32 = 5;
/// Without vowels, so that no words come about, and without what looks like something else.
const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz2456789";

/// A new id for a message.
pub(super) fn of(text: &str) -> String {
    // The standard library seeds each state from the system's randomness.
    with_chance(text, RandomState::new().hash_one(text))
}

fn with_chance(text: &str, mut chance: u64) -> String {
    let mut id = words(text);
    id.push('-');
    for _ in 0..CHANCE {
        let (letters, place) = (LETTERS.len() as u64, chance % LETTERS.len() as u64);
        id.extend(LETTERS.iter().map(|&letter| char::from(letter)).nth(usize::try_from(place).unwrap_or_default()));
        chance /= letters;
    }
    id
}

/// The first words of the text as far as an id can have them; `message` where there are none.
fn words(text: &str) -> String {
    let mut id = String::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let gap = usize::from(!id.is_empty());
        if id.len() + gap + word.len() > WORDS {
            break;
        }
        if gap > 0 {
            id.push('-');
        }
        id.push_str(&word.to_ascii_lowercase());
    }
    if id.is_empty() { "message".to_owned() } else { id }
}

#[cfg(test)]
mod tests;
