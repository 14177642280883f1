//! The registry of frameworks, as the ConfigMap holds it.

use std::collections::BTreeMap;

use drover_api::framework::Framework;

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
    Ok(framework)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
