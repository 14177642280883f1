//! What the parts of a runner pod, and the gateway, say to each other.
//!
//! The broker calls the gateway's runner port over TLS with its pod-bound token:
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /runner/v1/conversation[?after={generation}&wait={seconds}]` | | 200 [`Conversation`]; with `after` it waits, at most so many seconds (30), until the Session's generation is another |
//! | `POST /runner/v1/heartbeat` | | 200 [`Heartbeat`] |
//! | `PUT /runner/v1/logs/{sequence}` | lines of [`Event`](crate::log::Event), the first numbered `sequence` | 204; the same again is 204 too; 409 when they are not the next; 413 the log is full; 507 the store is full |
//! | `PUT /runner/v1/artifacts/{name}` | the bytes, with `Content-Digest: sha-256=:…:` (RFC 9530) | 201 [`Artifact`](crate::report::Artifact); 413 beyond a limit, which the problem's member `limit` names: `artifactBytes`, `runBytes` or `artifacts`; 422 other bytes than announced; 507 the store is full |
//! | `PUT /runner/v1/checkpoint` | a tar stream of unknown length | 204 once it is stored whole, in the place of this attempt's last one; 413 beyond the limit; 507 the store is full |
//! | `GET /runner/v1/checkpoint` | | 200 the checkpoint of the latest earlier attempt that made one; 404 there is none |
//! | `POST /runner/v1/report` | [`Report`](crate::report::Report) | 204; 409 when its sequence is not the next |
//!
//! `exec` calls the broker on [`BROKER_SOCKET`]:
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/turns/next` | | 200 [`NextTurn`], once there is a message and the workspace is in place; 204 when no message will come. The same message again until its end was told |
//! | `POST /v1/turns/{id}/end` | [`TurnEnd`] | 204 once the turn can no longer be lost; the same again is 204 too |
//! | `POST /v1/output?from={n}` | lines of [`Output`], before which `exec` sent `n` others | 204 after the last line was taken; lines that were taken before are left out, so a request without an answer is sent again |
//! | `GET /v1/stop` | | 200 [`Termination`], once the agent has to end; until then there is no answer |
//! | `POST /v1/finish` | | 200 [`Report`](crate::report::Report) once everything is stored, or will never be |

use serde::{Deserialize, Serialize};

use crate::{
    log::{Kind, Stream},
    report::Usage,
};

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

/// A folder of the broker's own that survives the pod as the workspace does.
pub const STATE_DIR: &str = "/drover/state";
/// Where the broker leaves its container's termination message: a [`Termination`], when the broker ended the agent.
pub const TERMINATION_LOG: &str = "/dev/termination-log";

/// How often the broker tells the gateway that it lives.
pub const HEARTBEAT: std::time::Duration = std::time::Duration::from_secs(30);
/// How long the gateway holds a request for the conversation at most, in seconds.
pub const MAX_WAIT_SECONDS: u64 = 30;

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
    /// Where working directory and home are: [`KEPT_BY_CHECKPOINT`] or [`KEPT_BY_CLAIM`].
    pub const KEPT_BY: &str = "DROVER_KEPT_BY";
    /// The value of [`KEPT_BY`] when they are stored at each turn's end.
    pub const KEPT_BY_CHECKPOINT: &str = "checkpoint";
    /// The value of [`KEPT_BY`] when a claim holds them.
    pub const KEPT_BY_CLAIM: &str = "claim";
    /// `true` when the attempt before was cut short in the middle of a turn.
    pub const PREVIOUS_INTERRUPTED: &str = "DROVER_PREVIOUS_INTERRUPTED";
    /// How much a checkpoint may hold, in bytes.
    pub const MAX_CHECKPOINT_BYTES: &str = "DROVER_MAX_CHECKPOINT_BYTES";
    /// How long the gateway may be unreachable before the broker ends the agent, in seconds.
    pub const REPORTING_PATIENCE: &str = "DROVER_REPORTING_PATIENCE";
    /// Of the agent: `true` when the message's turn was interrupted before by the end of a pod.
    pub const INTERRUPTED: &str = "DROVER_INTERRUPTED";
    /// What no variable of a Session may begin with.
    pub const RESERVED_PREFIX: &str = "DROVER_";
}

/// What the agent is to deal with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// The generation of the Session that says so.
    pub generation: i64,
    /// Whether the agent waits for more when it has dealt with all.
    #[serde(default)]
    pub interactive: bool,
    /// In the order of their delivery, the prompt first, without those that the Session's status says were dealt with.
    pub messages: Vec<Message>,
}

/// One text for the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The message's id; [`PROMPT_ID`] for the Session's prompt.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// The gateway's answer to a broker that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The pod is being deleted: the agent has to end.
    pub stop: bool,
}

/// The message that `exec` gives to the agent next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextTurn {
    /// The message.
    pub message: Message,
    /// It was given to an agent before whose pod ended in the middle of it.
    #[serde(default)]
    pub interrupted: bool,
    /// The id under which the agent keeps the conversation, if a turn told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_id: Option<String>,
}

/// A turn that the agent ended with exit code 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnEnd {
    /// The end of what the agent said, at most 4 KiB.
    #[serde(default)]
    pub result: String,
    /// What the agent wants to know, at most 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The id under which the agent keeps the conversation, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_id: Option<String>,
    /// The tokens of the turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
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

/// Why an agent did not end by itself. What `exec` leaves as its container's termination message, JSON; and the broker as
/// its own, when it was the broker who ended the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// Why the agent ended, one of the reasons of [`Reason`](crate::state::Reason).
    pub reason: crate::state::Reason,
    /// A sentence for the user; at most 1,024 bytes.
    pub message: String,
}
