//! An agent that speaks JSON, a value on each line.
//!
//! What is found where the framework's pointers point is kept for the end of the turn. In the log a line that says
//! something stands as what it says, any other JSON line as it is, as the work of a tool. A line that is not JSON stands
//! as it is, and so does one that is longer than [`MAX_LINE`], which is not parsed.

mod find;

use drover_api::{
    framework::{JsonLines, UsagePointers},
    log::{Kind, Stream},
    report::Usage,
    runner::{Output, TurnEnd},
};
use serde_json::Number;

use super::{MAX_SAID, splitter::Splitter, tail::last_lines};
use find::{Leaf, Pointer, is_json};

/// The longest line that is parsed, in bytes.
const MAX_LINE: usize = 256 * 1024;
/// The longest resume id, in bytes.
const MAX_RESUME_ID: usize = 256;

/// One of the numbers of a turn's usage.
type Field = fn(&mut Usage) -> &mut i64;
/// Where a number of tokens stands, and where it goes.
type Counter = (Pointer, Field);

/// Reads JSON lines, however their bytes arrive.
#[derive(Debug)]
pub(super) struct JsonReader {
    text: Option<Pointer>,
    question: Option<Pointer>,
    resume_id: Option<Pointer>,
    usage: Vec<Counter>,
    /// The line so far.
    line: Vec<u8>,
    /// The line's beginning was handed on already, because it is too long.
    long: bool,
    agent: Splitter,
    tool: Splitter,
    said: TurnEnd,
    /// A resume id cannot be kept.
    refused_id: bool,
}

impl JsonReader {
    pub(super) fn new(pointers: &JsonLines) -> Self {
        let JsonLines { text, question, resume_id, usage } = pointers;
        let parse = |pointer: &Option<String>| Pointer::parse(pointer.as_deref()?);
        Self {
            text: parse(text),
            question: parse(question),
            resume_id: parse(resume_id),
            usage: usage.as_ref().map(counters).unwrap_or_default(),
            line: Vec::new(),
            long: false,
            agent: Splitter::new(Kind::Agent, Stream::Stdout),
            tool: Splitter::new(Kind::Tool, Stream::Stdout),
            said: TurnEnd::default(),
            refused_id: false,
        }
    }

    /// Adds bytes; what became whole goes to `pieces`.
    pub(super) fn push(&mut self, bytes: &[u8], pieces: &mut Vec<Output>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            self.add(text, pieces);
            if whole {
                self.end_line(pieces);
            }
        }
    }

    /// Ends a line that has no end.
    pub(super) fn end(&mut self, pieces: &mut Vec<Output>) {
        if self.long || !self.line.is_empty() {
            self.end_line(pieces);
        }
        if self.refused_id {
            let text = format!(
                "the agent's resume id cannot be kept: it is empty, has more than {MAX_RESUME_ID} bytes, or holds \
                 control characters"
            );
            pieces.push(Output { kind: Kind::Error, stream: None, text, partial: false });
        }
    }

    /// What the agent said so far.
    pub(super) fn said(&self) -> TurnEnd {
        self.said.clone()
    }

    fn add(&mut self, text: &[u8], pieces: &mut Vec<Output>) {
        if self.long {
            self.agent.push(text, pieces);
            return;
        }
        self.line.extend_from_slice(text);
        if self.line.len() > MAX_LINE {
            self.long = true;
            self.agent.push(&self.line, pieces);
            self.line.clear();
        }
    }

    fn end_line(&mut self, pieces: &mut Vec<Output>) {
        let line = std::mem::take(&mut self.line);
        if self.long {
            self.long = false;
            self.agent.push(b"\n", pieces);
            return;
        }
        if !is_json(&line) {
            self.agent.push(&line, pieces);
            self.agent.push(b"\n", pieces);
            return;
        }
        match self.hear(&line) {
            Some(text) => {
                self.agent.push(text.as_bytes(), pieces);
                self.agent.end(pieces);
            }
            None => {
                self.tool.push(&line, pieces);
                self.tool.push(b"\n", pieces);
            }
        }
    }

    /// Keeps what a line says, and returns what people can read of it.
    fn hear(&mut self, line: &[u8]) -> Option<String> {
        let string = |pointer: &Option<Pointer>| pointer.as_ref()?.find(line).and_then(Leaf::text);
        let text = string(&self.text).filter(|text| !text.is_empty());
        if let Some(text) = &text {
            self.said.result = last_lines(text.trim_end()).to_owned();
        }
        let question = string(&self.question);
        if let Some(question) = &question {
            let cut = &question[..question.floor_char_boundary(MAX_SAID)];
            self.said.question = (!cut.is_empty()).then(|| cut.to_owned());
        }
        if let Some(id) = string(&self.resume_id) {
            self.refused_id = id.is_empty() || id.len() > MAX_RESUME_ID || id.contains(char::is_control);
            if !self.refused_id {
                self.said.resume_id = Some(id);
            }
        }
        for (pointer, field) in &self.usage {
            let number = pointer.find(line).and_then(Leaf::number);
            if let Some(tokens) = number.as_ref().and_then(tokens) {
                *field(self.said.usage.get_or_insert_default()) = tokens;
            }
        }
        text.or(question.filter(|question| !question.is_empty()))
    }
}

fn counters(pointers: &UsagePointers) -> Vec<Counter> {
    let UsagePointers { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens } = pointers;
    let counters: [(&Option<String>, Field); 4] = [
        (input_tokens, |usage| &mut usage.input_tokens),
        (output_tokens, |usage| &mut usage.output_tokens),
        (cache_read_tokens, |usage| &mut usage.cache_read_tokens),
        (cache_write_tokens, |usage| &mut usage.cache_write_tokens),
    ];
    counters.into_iter().filter_map(|(pointer, field)| Some((Pointer::parse(pointer.as_deref()?)?, field))).collect()
}

/// A number of tokens; some programs write whole numbers with a decimal point.
fn tokens(number: &Number) -> Option<i64> {
    let number = number.as_i64().or_else(|| number.as_f64().map(|number| number as i64))?;
    (number >= 0).then_some(number)
}

#[cfg(test)]
mod tests;
