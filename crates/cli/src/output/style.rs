//! Colours, and the protection of the terminal from texts of other people.

use std::borrow::Cow;

use drover_api::state::Phase;

/// Colours, or their absence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    coloured: bool,
}

/// What a text means, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Busy,
    Waiting,
    Dim,
    Heading,
}

impl Palette {
    pub(crate) const fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    /// `text` in the colour of its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Busy => "36",
            Tone::Waiting => "33",
            Tone::Dim => "2",
            Tone::Heading => "1",
        };
        if self.coloured && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl From<Phase> for Tone {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pending | Phase::Waiting => Self::Waiting,
            Phase::Running => Self::Busy,
            Phase::Succeeded => Self::Good,
            Phase::Failed => Self::Bad,
            Phase::Suspended | Phase::Cancelled => Self::Dim,
        }
    }
}

/// `text` in its own lines, without characters that would act on a terminal instead of showing themselves.
pub(crate) fn many_lines(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// `text` in one line, without characters that would act on a terminal instead of showing themselves.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.trim_end().chars().map(shown).collect())
}
