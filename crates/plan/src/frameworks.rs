//! The registry of frameworks, as the ConfigMap holds it.

use std::collections::BTreeMap;

use drover_api::framework::{Framework, JsonLines, OutputFormat, UsagePointers};

/// What is known of the registry.
#[derive(Clone, Debug, PartialEq)]
pub enum Frameworks {
    /// It cannot be read, and why.
    Unavailable(String),
    /// Its entries by name; an entry that is not valid says why.
    Known(BTreeMap<String, Result<Framework, String>>),
}

/// What the registry says of one name.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup<'a> {
    /// The framework.
    Found(&'a Framework),
    /// No entry has the name; the names that there are.
    Unknown(Vec<&'a str>),
    /// The entry is not valid, and why.
    Invalid(&'a str),
    /// The registry cannot be read, and why.
    Unavailable(&'a str),
}

impl Frameworks {
    /// Reads the registry from the data of its ConfigMap. One bad entry does not spoil the others.
    #[must_use]
    pub fn parse(data: &BTreeMap<String, String>) -> Self {
        Self::Known(data.iter().map(|(name, text)| (name.clone(), parse_entry(text))).collect())
    }

    /// Looks a framework up.
    #[must_use]
    pub fn get(&self, name: &str) -> Lookup<'_> {
        match self {
            Self::Unavailable(why) => Lookup::Unavailable(why),
            Self::Known(entries) => match entries.get(name) {
                Some(Ok(framework)) => Lookup::Found(framework),
                Some(Err(why)) => Lookup::Invalid(why),
                None => Lookup::Unknown(entries.keys().map(String::as_str).collect()),
            },
        }
    }
}

fn parse_entry(text: &str) -> Result<Framework, String> {
    let options = serde_saphyr::options! { strict_booleans: true, legacy_octal_numbers: true };
    let framework: Framework =
        serde_saphyr::from_str_with_options(text, options).map_err(|e| first_line(&e.to_string()))?;
    if framework.command.is_empty() {
        return Err("command is empty".to_owned());
    }
    if framework.image.is_empty() {
        return Err("image is empty".to_owned());
    }
    if let Some(pointer) = pointers(&framework.output).into_iter().find(|pointer| !is_pointer(pointer)) {
        return Err(format!("{pointer:?} is not a JSON pointer: write it like /item/text"));
    }
    Ok(framework)
}

fn pointers(output: &OutputFormat) -> Vec<&str> {
    let OutputFormat::JsonLines(JsonLines { text, question, resume_id, usage }) = output else { return Vec::new() };
    let usage = usage.iter().flat_map(
        |UsagePointers { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens }| {
            [input_tokens, output_tokens, cache_read_tokens, cache_write_tokens]
        },
    );
    [text, question, resume_id].into_iter().chain(usage).filter_map(|pointer| pointer.as_deref()).collect()
}

/// Whether a text is a JSON pointer (RFC 6901, section 3). The empty one, the whole document, says nothing here.
fn is_pointer(text: &str) -> bool {
    let escaped = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && escaped(text)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
