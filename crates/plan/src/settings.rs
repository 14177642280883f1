//! What the platform admin decides, and where things are.

use std::time::Duration;

/// Settings of the operator, fixed for the life of its process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The image that holds `drover-runner`.
    pub runner_image: String,
    /// The pull policy of the runner's and the frameworks' images.
    pub image_pull_policy: String,
    /// Base URL of the gateway's runner port.
    pub gateway_runner_url: String,
    /// The certificate authority of the gateway, PEM; public.
    pub gateway_ca: String,
    /// The `timeout` of a Session that names none.
    pub default_timeout: drover_api::Duration,
    /// How long a finished pod is kept.
    pub pod_retention: Duration,
    /// How long a pod may wait for a node and its containers for their start.
    pub start_timeout: drover_api::Duration,
    /// How long a broker goes on without an answer of the gateway.
    pub reporting_patience: drover_api::Duration,
    /// How much of a workspace and home is kept from one attempt to the next, in bytes.
    pub max_checkpoint_bytes: u64,
    /// How long a new Session's first status may wait for its pod to start, so that one write tells both.
    pub status_delay: Duration,
}

/// The user that a pod runs as when its framework names none.
pub const DEFAULT_USER: i64 = 65532;
/// How long the kubelet waits for a pod to end before it kills what is left: time for the broker to upload.
pub const GRACE_SECONDS: i64 = 120;
/// How long after the agent's end the last report is waited for.
pub const REPORT_PATIENCE: Duration = Duration::from_secs(130);
/// By how much the kubelet's deadline for a pod exceeds what is left of the Session's `timeout`, which `exec` itself
/// keeps, beside [`Settings::start_timeout`]: the kubelet counts from before it fetches images, and ends with the
/// uploads.
pub const DEADLINE_MARGIN: Duration = Duration::from_secs(120);
/// How long an agent's pod stays bound to a node that does not answer, in seconds.
pub const NODE_PATIENCE_SECONDS: i64 = 60;
/// How soon at the earliest, and how late at the latest, to try again what the API server refuses for now.
pub const REFUSED_RETRY: Duration = Duration::from_secs(30);
/// See [`REFUSED_RETRY`].
pub const LONGEST_REFUSED_RETRY: Duration = Duration::from_secs(600);
/// The longest message of a condition, in bytes.
pub const MAX_CONDITION_MESSAGE: usize = 384;
/// The longest `status.message`, in bytes.
pub const MAX_MESSAGE: usize = 1024;
/// How long after its deletion was asked for a pod is taken for dead although nobody says so. The kubelet has killed it
/// by then, or, on a node that is cut off, the broker has ended the agent for want of an answer.
pub const PRESUMED_DEAD: Duration = Duration::from_secs(130);
/// How long a cancelled agent has to end before its pod is deleted with a grace of a second.
pub const CANCEL_PATIENCE: Duration = Duration::from_secs(5);
/// How many disruptions a Session goes on after.
pub const MAX_DISRUPTIONS: u32 = 10;
/// The pause after the first disruption.
pub const DISRUPTION_BACKOFF: Duration = Duration::from_secs(5);
/// The pause before the second attempt where `spec.retry.backoff` says nothing.
pub const RETRY_BACKOFF: Duration = Duration::from_secs(10);
/// The longest pause between attempts, before it is spread.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(600);
/// How long a Session that Drover itself named is kept at least, so that a delivery that is repeated finds it.
pub const NAMED_KEPT: Duration = Duration::from_secs(4 * 24 * 3600);
