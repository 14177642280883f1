//! The gateway's API, which serves logs and artifacts: found, reached and read.
//!
//! [`locate`] reads where it is, [`connection`] reaches it and verifies it before anything is said, [`client`] asks,
//! [`body`] reads what it answers, [`follow`] keeps a log stream going over interruptions.

pub(crate) mod body;
pub(crate) mod client;
mod connection;
mod follow;
mod locate;
mod sse;

pub(crate) use client::Gateway;
pub(crate) use follow::{Follow, Step};

use std::time::Duration;

use http::StatusCode;

use crate::cluster;

/// What went wrong between the plugin and the gateway.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The cluster does not say where the gateway is.
    #[error(
        "namespace {0} does not announce a gateway: is Drover installed there? If it is elsewhere, name its namespace \
         with --drover-namespace"
    )]
    NotAnnounced(String),
    /// What the cluster says of the gateway cannot be used.
    #[error("the gateway is announced wrongly in ConfigMap {0}: {1}; ask the platform admin to correct it")]
    WronglyAnnounced(String, String),
    /// The kubeconfig's way to authenticate does not work with the gateway.
    #[error("{0}")]
    Identity(String),
    /// The API server refused or failed.
    #[error("{}", cluster::explain(.0))]
    Api(kube::Error),
    /// Neither way leads to the gateway.
    #[error("the gateway cannot be reached: directly at {url}: {direct}; by port-forward: {forward}")]
    Unreachable {
        /// The announced address.
        url: String,
        /// Why the direct way fails.
        direct: Box<Error>,
        /// Why the way through the API server fails.
        forward: Box<Error>,
    },
    /// The caller may not use the port-forward.
    #[error(
        "forbidden; it needs the rights to list pods and to create pods/portforward in namespace {0}: ask the platform \
         admin for them, or for an address of the gateway that is reachable from here"
    )]
    ForwardForbidden(String),
    /// No gateway pod can take a port-forward.
    #[error("no gateway pod is ready in namespace {0}")]
    NoPod(String),
    /// A connection failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The HTTP exchange failed.
    #[error("the connection to the gateway failed: {}", cluster::chain(.0))]
    Http(#[from] hyper::Error),
    /// Nothing came in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// An answer began and did not go on.
    #[error(
        "the gateway fell silent in the middle of its answer: nothing came for {} s; try again", .0.as_secs()
    )]
    Silent(Duration),
    /// A log stream ended at once.
    #[error("the gateway ends the stream without a word")]
    NothingCame,
    /// A log stream ended with a problem, which is told in the gateway's words.
    #[error("{0}")]
    Problem(String),
    /// The gateway answered with an error.
    #[error("the gateway answered {}: {text}", .status.as_u16())]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The problem's own words.
        text: String,
    },
    /// The gateway's answer makes no sense.
    #[error("the gateway's answer cannot be read: {0}")]
    Protocol(String),
}

// Not by derive: the words for the user are in the error's own text, and its source would repeat them for developers.
impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

impl Error {
    /// Whether the same request may well succeed a little later.
    fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { direct, forward, .. } => direct.is_transient() || forward.is_transient(),
            Self::NoPod(_) | Self::Io(_) | Self::Http(_) | Self::Timeout(_) | Self::Silent(_) | Self::NothingCame => {
                true
            }
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Api(kube::Error::Api(status)) => status.code >= 500 || status.code == 429,
            Self::Api(_) => true,
            Self::NotAnnounced(_)
            | Self::WronglyAnnounced(..)
            | Self::Identity(_)
            | Self::ForwardForbidden(_)
            | Self::Problem(_)
            | Self::Protocol(_) => false,
        }
    }
}

/// The answer to `future`, or [`Error::Timeout`].
async fn within<T, E: Into<Error>>(
    limit: Duration,
    future: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, Error> {
    tokio::time::timeout(limit, future).await.map_err(|_| Error::Timeout(limit))?.map_err(Into::into)
}
