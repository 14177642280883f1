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
    /// How long a new Session's first status may wait for its pod to start, so that one write tells both.
    pub status_delay: Duration,
}

/// The user that a pod runs as when its framework names none.
pub const DEFAULT_USER: i64 = 65532;
/// How long the kubelet waits for a pod to end before it kills what is left: time for the broker to upload.
pub const GRACE_SECONDS: i64 = 120;
/// How long after the agent's end the last report is waited for.
pub const REPORT_PATIENCE: Duration = Duration::from_secs(130);
/// By how much the kubelet's deadline for a pod exceeds the Session's `timeout`, which `exec` itself keeps: the kubelet
/// counts from before it fetches images, which may take half an hour, and ends with the uploads.
pub const DEADLINE_MARGIN_SECONDS: i64 = 1920;
/// How long an agent's pod stays bound to a node that does not answer, in seconds.
pub const NODE_PATIENCE_SECONDS: i64 = 60;
/// How soon at the earliest, and how late at the latest, to try again what the API server refuses for now.
pub const REFUSED_RETRY: Duration = Duration::from_secs(30);
/// See [`REFUSED_RETRY`].
pub const LONGEST_REFUSED_RETRY: Duration = Duration::from_secs(600);
/// The longest `status.message`, in bytes.
pub const MAX_MESSAGE: usize = 1024;
