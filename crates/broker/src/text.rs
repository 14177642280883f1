//! Texts for people: bounded, and counted.

/// The longest beginning of `text` that has at most `limit` bytes and ends between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// The longest beginning of `text` that takes at most `limit` bytes in JSON, its quotation marks apart.
pub(crate) fn beginning_in_json(text: &str, limit: usize) -> &str {
    &text[..length_in_json(text.chars(), limit)]
}

/// The longest end of `text` that takes at most `limit` bytes in JSON, its quotation marks apart.
pub(crate) fn end_in_json(text: &str, limit: usize) -> &str {
    &text[text.len() - length_in_json(text.chars().rev(), limit)..]
}

/// The length of the first characters that together take at most `limit` bytes in JSON.
fn length_in_json(chars: impl Iterator<Item = char>, limit: usize) -> usize {
    let (mut length, mut written) = (0, 0);
    for char in chars {
        written += match char {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..'\u{20}' => 6,
            char => char.len_utf8(),
        };
        if written > limit {
            break;
        }
        length += char.len_utf8();
    }
    length
}

/// The text without line ends and other control characters, which stand as spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: impl Into<u64>, what: &str) -> String {
    let number = number.into();
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
