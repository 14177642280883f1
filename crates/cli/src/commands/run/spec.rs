//! The Session that the flags of `run` describe.

use std::{collections::BTreeMap, str::FromStr};

use drover_api::{
    Amount, Session, SessionSpec,
    names::label,
    session::{Claim, EnvVar, Idle, PodOverrides, Resources, Retry, Workspace},
};

use super::RunArgs;
use crate::commands::text::Text;

/// How the names begin that the API server makes up.
pub(super) const NAME_PREFIX: &str = "run-";
/// The prompt.
pub(super) const PROMPT: Text = Text { what: "prompt", empty: "say what the agent is to do", longest: 32 * 1024 };

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

/// The Session to create.
pub(super) fn session(args: &RunArgs, namespace: &str, prompt: String) -> Session {
    let spec = SessionSpec {
        prompt,
        framework: args.framework.clone(),
        timeout: args.timeout,
        artifacts: args.artifacts.clone(),
        messages: Vec::new(),
        interactive: args.interactive,
        idle: args.suspend_after.map(|after| Idle { suspend_after: Some(after), delete_after: None }),
        suspend: None,
        cancel: None,
        retry: args.retry.map(|limit| Retry { limit, backoff: None }),
        workspace: args.workspace_claim.as_deref().map(claim),
        ttl_after_finished: args.ttl,
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

fn claim(size: &str) -> Workspace {
    let claim = Claim { size: Amount::Text(size.to_owned()), storage_class_name: None };
    Workspace { empty_dir: None, claim: Some(claim) }
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
