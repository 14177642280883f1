//! Every name that Drover puts on objects or reads from them.

/// Labels on objects that Drover makes.
pub mod label {
    /// Names the [`Session`](crate::Session) that a pod runs; its presence marks a runner pod.
    pub const SESSION: &str = "drover.dev/session";
    /// The uid of the Session that a pod runs.
    pub const SESSION_UID: &str = "drover.dev/session-uid";
    /// Which attempt of the Session a pod is, counted from 1.
    pub const ATTEMPT: &str = "drover.dev/attempt";
    /// How an object that Drover itself named came to be: `plugin`, `api` or `trigger`.
    pub const ORIGIN: &str = "drover.dev/origin";
    /// Kubernetes' recommended label for the tool that manages an object.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The value of [`MANAGED_BY`] on all that Drover makes.
    pub const DROVER: &str = "drover";
}

/// Annotations.
pub mod annotation {
    /// On a runner pod: the [`Report`](crate::report::Report) of its broker, written by the gateway alone.
    pub const REPORT: &str = "drover.dev/report";
    /// On a runner pod: a hash of the part of the Session's spec that the pod was made from.
    pub const PLAN: &str = "drover.dev/plan";
    /// On a Session: its [`Outcome`](crate::state::Outcome), kept for a restore from a backup, which drops status.
    pub const OUTCOME: &str = "drover.dev/outcome";
}

/// Keeps a runner pod until its ending is recorded in the Session.
pub const POD_FINALIZER: &str = "drover.dev/observed";
/// How the name of every runner pod begins.
pub const POD_PREFIX: &str = "drover-run-";
/// The service account that runner pods use; it has no rights, and no token of it reaches the agent.
pub const RUNNER_SERVICE_ACCOUNT: &str = "drover-runner";
/// The ConfigMap in Drover's namespace that says where the gateway is; every authenticated user may read it.
pub const GATEWAY_CONFIG_MAP: &str = "drover-gateway";
/// In [`GATEWAY_CONFIG_MAP`]: the base URL of the gateway's API.
pub const GATEWAY_URL_KEY: &str = "url";
/// In [`GATEWAY_CONFIG_MAP`]: the certificate authority of the gateway, PEM.
pub const GATEWAY_CA_KEY: &str = "ca.crt";
/// The ConfigMap in Drover's namespace that holds the frameworks, a key each.
pub const FRAMEWORKS_CONFIG_MAP: &str = "drover-frameworks";
/// The Secret in Drover's namespace with the long-lived certificate authority; only the operator reads it.
pub const CA_SECRET: &str = "drover-ca";
/// The Secret in Drover's namespace with the gateway's serving certificate, which the operator renews.
pub const GATEWAY_TLS_SECRET: &str = "drover-gateway-tls";
/// The audience of the tokens by which runner pods are known to the gateway.
pub const GATEWAY_AUDIENCE: &str = "drover-gateway";
/// The field manager of the operator's writes.
pub const OPERATOR_MANAGER: &str = "drover-operator";
/// The field manager of the gateway's writes.
pub const GATEWAY_MANAGER: &str = "drover-gateway";

/// Container names in a runner pod.
pub mod container {
    /// The init container that puts the runner's binary in place.
    pub const INSTALL: &str = "install";
    /// The sidecar that speaks to the gateway.
    pub const BROKER: &str = "broker";
    /// The container in which the agent runs.
    pub const AGENT: &str = "agent";
}

/// Condition types.
pub mod condition {
    /// Whether the Session can be run as written.
    pub const ACCEPTED: &str = "Accepted";
    /// Whether policy lets the Session run now.
    pub const ADMITTED: &str = "Admitted";
    /// Whether the Session has ended, and how.
    pub const COMPLETE: &str = "Complete";
    /// Whether everything that `spec.artifacts` names was stored.
    pub const ARTIFACTS_STORED: &str = "ArtifactsStored";
    /// Whether all of working directory and home could be kept for the next attempt.
    pub const WORKSPACE_KEPT: &str = "WorkspaceKept";
    /// kstatus: work on accepting the object is still going on.
    pub const RECONCILING: &str = "Reconciling";
    /// kstatus: the object failed or needs a change of its spec.
    pub const STALLED: &str = "Stalled";
}
