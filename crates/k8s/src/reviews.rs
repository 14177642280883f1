//! Who calls, and what they may do: the API server's answers to TokenReview and SubjectAccessReview, remembered for a
//! short time.
//!
//! A token that was good is taken for good for [`TOKEN_TTL`] more, and a decision about access stands for
//! [`ACCESS_TTL`]: that is how long a withdrawn right can still be used. Tokens are kept as their SHA-256 hash only,
//! and refusals of tokens are not kept at all.
#![expect(clippy::disallowed_methods, reason = "a review is a question in the form of a write")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use self::memory::Memory;

mod memory;

/// How long a token that the API server took is not shown to it again.
pub const TOKEN_TTL: Duration = Duration::from_secs(30);
/// How long a decision about access stands.
pub const ACCESS_TTL: Duration = Duration::from_secs(10);
/// How many answers of each kind are remembered.
const REMEMBERED: usize = 4096;
/// How many questions of each kind are asked at once; more wait.
const AT_ONCE: usize = 32;
/// The longest token that is shown to the API server, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// Who somebody is, as the API server says or their certificate proves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user's name, for instance `system:serviceaccount:team:robot`.
    pub user: String,
    /// What tells users of the same name apart.
    pub uid: Option<String>,
    /// The groups that the user is in.
    pub groups: Vec<String>,
    /// What the authenticator says beside that.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access<'a> {
    /// The verb, for instance `get`.
    pub verb: &'a str,
    /// The API group of the resource.
    pub group: &'a str,
    /// The resource, in its plural.
    pub resource: &'a str,
    /// The subresource.
    pub subresource: &'a str,
    /// The namespace of the object.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
}

/// How many questions were answered from memory and how many by the API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tokens that were remembered.
    pub token_hits: u64,
    /// Tokens that the API server was asked about.
    pub token_misses: u64,
    /// Decisions about access that were remembered.
    pub access_hits: u64,
    /// Decisions about access that the API server was asked for.
    pub access_misses: u64,
}

/// Asks the API server, and remembers.
#[derive(Debug)]
pub struct Reviews {
    tokens: Api<TokenReview>,
    access: Api<SubjectAccessReview>,
    known_tokens: Memory<Identity>,
    decisions: Memory<bool>,
    /// Of each kind its own, so that a flood of tokens does not hold up those who are known.
    token_questions: Semaphore,
    access_questions: Semaphore,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    token_hits: AtomicU64,
    token_misses: AtomicU64,
    access_hits: AtomicU64,
    access_misses: AtomicU64,
}

impl Reviews {
    /// Asks through `client`, who needs the right to create both kinds of reviews.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            tokens: Api::all(client.clone()),
            access: Api::all(client),
            known_tokens: Memory::new(TOKEN_TTL, REMEMBERED),
            decisions: Memory::new(ACCESS_TTL, REMEMBERED),
            token_questions: Semaphore::new(AT_ONCE),
            access_questions: Semaphore::new(AT_ONCE),
            counters: Counters::default(),
        }
    }

    /// Whose token this is; `None` when the API server does not take it. With an `audience` only tokens made for it
    /// are taken, without one those made for the API server itself.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn authenticate(&self, token: &str, audience: Option<&str>) -> Result<Option<Identity>, kube::Error> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return Ok(None);
        }
        let key = key(&[audience.unwrap_or_default(), token]);
        if let Some(identity) = self.known_tokens.get(&key, Instant::now()) {
            self.counters.token_hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(identity));
        }
        let _asking = self.token_questions.acquire().await;
        // Somebody else may have asked meanwhile.
        if let Some(identity) = self.known_tokens.get(&key, Instant::now()) {
            self.counters.token_hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(identity));
        }
        self.counters.token_misses.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: audience.map(|audience| vec![audience.to_owned()]),
            },
            ..TokenReview::default()
        };
        let identity = identity(self.tokens.create(&PostParams::default(), &review).await?, audience);
        if let Some(identity) = &identity {
            self.known_tokens.put(key, identity.clone(), asked);
        }
        Ok(identity)
    }

    /// Whether `identity` may do this.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn allowed(&self, identity: &Identity, access: &Access<'_>) -> Result<bool, kube::Error> {
        let key = access_key(identity, access);
        if let Some(allowed) = self.decisions.get(&key, Instant::now()) {
            self.counters.access_hits.fetch_add(1, Ordering::Relaxed);
            return Ok(allowed);
        }
        let _asking = self.access_questions.acquire().await;
        self.counters.access_misses.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        let answer = self.access.create(&PostParams::default(), &access_review(identity, access)).await?;
        let allowed = answer.status.is_some_and(|status| status.allowed && status.denied != Some(true));
        self.decisions.put(key, allowed, asked);
        Ok(allowed)
    }

    /// What was answered so far, and how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Counters { token_hits, token_misses, access_hits, access_misses } = &self.counters;
        Counts {
            token_hits: token_hits.load(Ordering::Relaxed),
            token_misses: token_misses.load(Ordering::Relaxed),
            access_hits: access_hits.load(Ordering::Relaxed),
            access_misses: access_misses.load(Ordering::Relaxed),
        }
    }
}

/// Who the review says it is. An API server that knows no audiences leaves them out of its answer, and then the token
/// may be for anybody.
fn identity(review: TokenReview, audience: Option<&str>) -> Option<Identity> {
    let status = review.status?;
    let audiences = status.audiences.unwrap_or_default();
    let for_us = audience.is_none_or(|audience| audiences.iter().any(|known| known == audience));
    let user = status.user?;
    let name = user.username.filter(|name| !name.is_empty())?;
    (status.authenticated == Some(true) && for_us).then(|| Identity {
        user: name,
        uid: user.uid,
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    })
}

fn access_review(identity: &Identity, access: &Access<'_>) -> SubjectAccessReview {
    let Identity { user, uid, groups, extra } = identity.clone();
    let Access { verb, group, resource, subresource, namespace, name } = *access;
    let text = |text: &str| Some(text.to_owned());
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user),
            uid,
            groups: Some(groups),
            extra: Some(extra),
            resource_attributes: Some(ResourceAttributes {
                verb: text(verb),
                group: text(group),
                resource: text(resource),
                subresource: text(subresource),
                namespace: text(namespace),
                name: text(name),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SubjectAccessReview::default()
    }
}

/// What an answer is remembered under.
type Key = [u8; 32];

/// The hash of some texts, each with its length, so that no two lists of texts have the same.
fn key(parts: &[&str]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

fn access_key(identity: &Identity, access: &Access<'_>) -> Key {
    let Identity { user, uid, groups, extra } = identity;
    let Access { verb, group, resource, subresource, namespace, name } = *access;
    let counts = [groups.len().to_string(), extra.len().to_string()];
    let mut parts = vec![verb, group, resource, subresource, namespace, name, user];
    parts.extend([uid.as_deref().unwrap_or_default(), &counts[0], &counts[1]]);
    parts.extend(groups.iter().map(String::as_str));
    let lengths: Vec<String> = extra.values().map(|values| values.len().to_string()).collect();
    for ((name, values), length) in extra.iter().zip(&lengths) {
        parts.extend([name.as_str(), length]);
        parts.extend(values.iter().map(String::as_str));
    }
    key(&parts)
}

#[cfg(test)]
mod tests;
