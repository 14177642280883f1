//! A log as lines for people.
//!
//! Output of the agent is passed on byte for byte, as `kubectl logs` does it. What Drover says itself begins with
//! `drover:`, and never goes where a program reads the agent's output.

use drover_api::log::{Event, Kind, Stream};

use super::{
    Terminal,
    style::{Palette, Tone, one_line},
};

/// Where the lines of a log go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// All to standard output: the log is what was asked for.
    Together,
    /// Standard output to standard output and the rest to standard error, as if the agent ran here.
    Apart,
    /// All to standard error: standard output is for a document.
    Aside,
}

/// One of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Out,
    Err,
}

/// Prints events.
pub(crate) struct LogPrinter<'a> {
    terminal: &'a Terminal,
    lines: Lines,
}

/// Turns events into lines, minding lines that come in pieces.
struct Lines {
    layout: Layout,
    timestamps: bool,
    palettes: [Palette; 2],
    /// On each output, whose line is not ended yet.
    open: [Option<(Kind, Option<Stream>)>; 2],
}

impl<'a> LogPrinter<'a> {
    /// Prints to `terminal`, each line after its time if `timestamps`.
    pub(crate) fn new(terminal: &'a Terminal, layout: Layout, timestamps: bool) -> Self {
        let palettes = [terminal.out_palette(), terminal.err_palette()];
        Self { terminal, lines: Lines { layout, timestamps, palettes, open: [None, None] } }
    }

    /// Prints events, and brings them to their reader.
    pub(crate) fn print(&mut self, events: &[Event]) -> anyhow::Result<()> {
        for event in events {
            let (target, text) = self.lines.of(event);
            match target {
                Target::Out => self.terminal.out(text.as_bytes())?,
                Target::Err => self.terminal.err(text.as_bytes()),
            }
        }
        self.terminal.flush()
    }
}

impl Lines {
    /// What `event` adds, and to which output.
    fn of(&mut self, event: &Event) -> (Target, String) {
        let target = self.target(event);
        let place = target as usize;
        let writer = (event.kind, event.stream);
        let mut text = String::new();
        let continues = self.open[place] == Some(writer);
        if !continues {
            if self.open[place].is_some() {
                text.push('\n');
            }
            if self.timestamps {
                text.push_str(&self.palettes[place].paint(Tone::Dim, &event.time));
                text.push(' ');
            }
        }
        text.push_str(&self.body(event, continues, self.palettes[place]));
        if !event.partial {
            text.push('\n');
        }
        self.open[place] = event.partial.then_some(writer);
        (target, text)
    }

    fn target(&self, event: &Event) -> Target {
        match (self.layout, event.stream) {
            (Layout::Together, _) | (Layout::Apart, Some(Stream::Stdout)) => Target::Out,
            (Layout::Aside, _) | (Layout::Apart, _) => Target::Err,
        }
    }

    fn body(&self, event: &Event, continues: bool, palette: Palette) -> String {
        let label = |name: &str| if continues { String::new() } else { palette.paint(Tone::Dim, name) };
        match event.kind {
            Kind::Agent => event.text.clone(),
            Kind::Tool => label("tool: ") + &event.text,
            Kind::Hook => label("hook: ") + &event.text,
            Kind::System => palette.paint(Tone::Dim, &format!("drover: {}", one_line(&event.text))),
            Kind::Error => palette.paint(Tone::Bad, &format!("drover: error: {}", one_line(&event.text))),
        }
    }
}

#[cfg(test)]
mod tests;
