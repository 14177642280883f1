//! What the parts of a runner pod, and the gateway, say to each other.
//!
//! The broker calls the gateway's runner port over TLS with its pod-bound token:
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /runner/v1/messages` | | 200 [`Messages`] |
//! | `PUT /runner/v1/logs/{sequence}` | lines of [`Event`](crate::log::Event), the first numbered `sequence` | 204; the same again is 204 too; 409 when they are not the next; 413 the log is full; 507 the store is full |
//! | `PUT /runner/v1/artifacts/{name}` | the bytes, with `Content-Digest: sha-256=:…:` (RFC 9530) | 201 [`Artifact`](crate::report::Artifact); 413 beyond a limit, which the problem's member `limit` names: `artifactBytes`, `runBytes` or `artifacts`; 422 other bytes than announced; 507 the store is full |
//! | `POST /runner/v1/report` | [`Report`](crate::report::Report) | 204; 409 when its sequence is not the next |
//!
//! `exec` calls the broker on [`BROKER_SOCKET`]:
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/prompt` | | 200 the prompt, once the broker has it |
//! | `POST /v1/output?from={n}` | lines of [`Output`], before which `exec` sent `n` others | 204 after the last line was taken; lines that were taken before are left out, so a request without an answer is sent again |
//! | `POST /v1/finish` | | 200 [`Report`](crate::report::Report) once everything is stored, or will never be |

use serde::{Deserialize, Serialize};

use crate::log::{Kind, Stream};

/// Where `install` puts the runner's binary; mounted read-only beside the agent.
pub const BIN_DIR: &str = "/drover/bin";
/// The runner's binary in every container of the pod but `install`.
pub const BIN: &str = "/drover/bin/drover-runner";
/// A folder that broker and agent share.
pub const RUN_DIR: &str = "/drover/run";
/// Where the broker listens for `exec`.
pub const BROKER_SOCKET: &str = "/drover/run/broker.sock";
/// A folder of the broker's own, which outlives its container.
pub const JOURNAL_DIR: &str = "/drover/journal";
/// The folder with the broker's token.
pub const TOKEN_DIR: &str = "/drover/token";
/// The broker's token for the gateway; the kubelet renews it.
pub const TOKEN_FILE: &str = "/drover/token/token";
/// The agent's working directory; artifacts are taken from beneath it.
pub const WORKSPACE_DIR: &str = "/workspace";
/// The agent's home directory.
pub const HOME_DIR: &str = "/home/agent";

/// The agent's container was ended because its time was up.
pub const EXIT_TIMEOUT: i32 = 124;
/// The agent's command could not be started.
pub const EXIT_NOT_EXECUTABLE: i32 = 126;
/// The agent's command was not found.
pub const EXIT_NOT_FOUND: i32 = 127;

/// Environment of the broker.
pub mod env {
    /// Base URL of the gateway's runner port.
    pub const GATEWAY_URL: &str = "DROVER_GATEWAY_URL";
    /// The gateway's certificate authority, PEM.
    pub const GATEWAY_CA: &str = "DROVER_GATEWAY_CA";
    /// `spec.artifacts`, a JSON list.
    pub const ARTIFACTS: &str = "DROVER_ARTIFACTS";
    /// Which try of the Session the pod is.
    pub const ATTEMPT: &str = "DROVER_ATTEMPT";
    /// What no variable of a Session may begin with.
    pub const RESERVED_PREFIX: &str = "DROVER_";
}

/// What the agent is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// In the order of their delivery; the first is the prompt.
    pub messages: Vec<Message>,
}

/// One text for the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The message's id; `prompt` for the Session's prompt.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// The id of the message that is the Session's prompt.
pub const PROMPT_ID: &str = "prompt";

/// A piece of output on its way from `exec` to the broker, which numbers and dates it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// For output: where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// The text, at most [`MAX_TEXT`](crate::log::MAX_TEXT) bytes, without the line's end.
    pub text: String,
    /// The line goes on in the next piece.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// What `exec` leaves as its container's termination message, JSON, when the agent did not end by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// Why the agent ended, one of the reasons of [`Reason`](crate::state::Reason).
    pub reason: crate::state::Reason,
    /// A sentence for the user; at most 1,024 bytes.
    pub message: String,
}
