use std::fmt;

use object_store::path::Path;

/// Whose logs and artifacts: a Session, by its namespace and uid. A Session that is created again under the same name
/// is another run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    namespace: String,
    uid: String,
}

/// A text is not a namespace or uid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a namespace nor a uid: only lower-case letters, digits and - stand in them, at most 63")]
pub struct InvalidRun(String);

impl Run {
    /// The run of the Session with `uid` in `namespace`.
    ///
    /// # Errors
    /// When one of them holds what no namespace or uid holds.
    pub fn new(namespace: &str, uid: &str) -> Result<Self, InvalidRun> {
        for part in [namespace, uid] {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if part.is_empty() || part.len() > 63 || !part.bytes().all(plain) {
                return Err(InvalidRun(part.chars().take(64).collect()));
            }
        }
        Ok(Self { namespace: namespace.to_owned(), uid: uid.to_owned() })
    }

    /// The Session's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The Session's uid.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    pub(crate) fn folder(&self) -> Path {
        Path::from_iter([self.namespace.as_str(), self.uid.as_str()])
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.uid)
    }
}

#[cfg(test)]
mod tests;
