//! The Session that the flags of `run` describe.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
    str::FromStr,
};

use anyhow::{Context, ensure};
use drover_api::{
    Amount, Session, SessionSpec,
    names::label,
    session::{EnvVar, PodOverrides, Resources},
};

use super::RunArgs;

/// How the names begin that the API server makes up.
pub(super) const NAME_PREFIX: &str = "run-";
/// The longest prompt that the API takes, in characters.
const MAX_PROMPT: usize = 32 * 1024;

/// `NAME=VALUE`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    name: String,
    value: String,
}

/// `RESOURCE=QUANTITY`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quantity {
    resource: String,
    amount: String,
}

impl FromStr for Variable {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = pair(text).ok_or("write NAME=VALUE")?;
        Ok(Self { name, value })
    }
}

impl FromStr for Quantity {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (resource, amount) = pair(text)
            .filter(|(_, amount)| !amount.is_empty())
            .ok_or("write RESOURCE=QUANTITY, for instance cpu=500m")?;
        Ok(Self { resource, amount })
    }
}

fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

/// The prompt itself, or the content of its file.
pub(super) fn prompt(text: Option<&str>, file: Option<&Path>) -> anyhow::Result<String> {
    let prompt = match (text, file) {
        (Some(text), _) => text.to_owned(),
        (None, Some(file)) if file.as_os_str() == "-" => {
            read(io::stdin().lock()).context("the prompt cannot be read from standard input")?
        }
        (None, Some(file)) => File::open(file)
            .and_then(read)
            .with_context(|| format!("the prompt cannot be read from {}", file.display()))?,
        (None, None) => String::new(),
    };
    ensure!(!prompt.trim().is_empty(), "the prompt is empty: say what the agent is to do");
    let length = prompt.chars().count();
    ensure!(
        length <= MAX_PROMPT,
        "the prompt is longer than {MAX_PROMPT} characters: put the material into a file that the agent fetches"
    );
    Ok(prompt)
}

/// Reads text, a little more than a prompt can have at most.
fn read(source: impl Read) -> io::Result<String> {
    let mut text = Vec::new();
    // A character has at most four bytes. Reading on would let an endless file fill the memory.
    source.take(4 * MAX_PROMPT as u64 + 4).read_to_end(&mut text)?;
    String::from_utf8(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text, or too long"))
}

/// The Session to create.
pub(super) fn session(args: &RunArgs, namespace: &str, prompt: String) -> Session {
    let spec = SessionSpec {
        prompt,
        framework: args.framework.clone(),
        timeout: args.timeout,
        artifacts: args.artifacts.clone(),
        pod: pod(args),
    };
    let mut session = Session::new("", spec);
    session.metadata.namespace = Some(namespace.to_owned());
    session.metadata.name = args.name.clone();
    if args.name.is_none() {
        session.metadata.generate_name = Some(NAME_PREFIX.to_owned());
        // What Drover named itself, it may also delete some time after its end.
        session.metadata.labels = Some(BTreeMap::from([(label::ORIGIN.to_owned(), "plugin".to_owned())]));
    }
    session
}

fn pod(args: &RunArgs) -> Option<PodOverrides> {
    let env = args.env.iter().map(|v| EnvVar { name: v.name.clone(), value: v.value.clone() }).collect();
    let resources = Resources { requests: quantities(&args.requests), limits: quantities(&args.limits) };
    let pod = PodOverrides {
        resources: (resources != Resources::default()).then_some(resources),
        env,
        ..PodOverrides::default()
    };
    (pod != PodOverrides::default()).then_some(pod)
}

fn quantities(given: &[Quantity]) -> BTreeMap<String, Amount> {
    given.iter().map(|q| (q.resource.clone(), Amount::Text(q.amount.clone()))).collect()
}

#[cfg(test)]
mod tests;
