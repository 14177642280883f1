//! The container's termination message.

use std::{fs, path::PathBuf};

use drover_api::runner::Termination;

/// The longest message in bytes, as it is written; the kubelet cuts what is longer than 4 KiB per container.
const MAX_BYTES: usize = 1536;
/// The longest sentence in bytes.
const MAX_MESSAGE: usize = 1024;

/// The file from which the kubelet takes the message.
#[derive(Debug)]
pub(super) struct TerminationFile {
    path: PathBuf,
}

impl TerminationFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Leaves a reason, or nothing. The agent can write to the file as well and is dead by now, so nothing is written
    /// too.
    pub(super) fn write(&self, termination: Option<&Termination>) {
        let content = termination.map(encode).unwrap_or_default();
        if let Err(error) = fs::write(&self.path, content) {
            tracing::warn!(path = %self.path.display(), %error, "the termination message cannot be written");
        }
    }
}

/// The message as JSON within its bounds.
fn encode(termination: &Termination) -> Vec<u8> {
    let mut message: String = termination.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    message.truncate(message.floor_char_boundary(MAX_MESSAGE));
    loop {
        let bounded = Termination { reason: termination.reason, message: message.clone() };
        let encoded = serde_json::to_vec(&bounded).unwrap_or_default();
        if encoded.len() <= MAX_BYTES {
            return encoded;
        }
        // Quotes and backslashes take two bytes each.
        message.truncate(message.floor_char_boundary(message.len() * 3 / 4));
    }
}

#[cfg(test)]
mod tests;
