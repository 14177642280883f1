use std::{fmt, str::FromStr};

use drover_api::report::MAX_ARTIFACT_NAME;

/// The name of an artifact: a relative path of `/`-separated names, at most [`MAX_ARTIFACT_NAME`] bytes of UTF-8.
///
/// None of its names is empty, `.` or `..`, and there is no NUL, so that whoever saves an artifact under its name stays
/// beneath the folder they chose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactName(String);

/// Why a text is not the name of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It is empty.
    #[error("an artifact's name must not be empty")]
    Empty,
    /// It is too long.
    #[error("an artifact's name has at most {MAX_ARTIFACT_NAME} bytes")]
    TooLong,
    /// It begins with `/`.
    #[error("an artifact's name is a path beneath the working directory and does not begin with /")]
    Absolute,
    /// One of the names between the slashes is empty, `.` or `..`.
    #[error("an artifact's name has no empty part and none that is . or ..")]
    Part,
    /// It holds NUL.
    #[error("an artifact's name does not hold the character NUL")]
    Nul,
}

impl ArtifactName {
    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last of its names.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl FromStr for ArtifactName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.len() > MAX_ARTIFACT_NAME {
            return Err(InvalidName::TooLong);
        }
        if text.starts_with('/') {
            return Err(InvalidName::Absolute);
        }
        if text.contains('\0') {
            return Err(InvalidName::Nul);
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(InvalidName::Part);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
