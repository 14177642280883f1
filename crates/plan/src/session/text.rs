//! Texts of bounded length.

/// `text`, cut to at most `max` bytes where it is longer; then it ends in `…`.
#[must_use]
pub fn bounded(text: &str, max: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= max {
        return text.to_owned();
    }
    let cut = text.floor_char_boundary(max.saturating_sub(ELLIPSIS.len()));
    format!("{}{ELLIPSIS}", &text[..cut])
}
