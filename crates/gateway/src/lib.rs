//! The gateway: an HTTP API to the logs and artifacts of Sessions for people and their tools, and the endpoints of
//! runner pods on a port of their own. It also sweeps the artifact store.
//!
//! It holds no state. Who calls and what they may do is the API server's to say; bytes are the artifact store's; what a
//! run reports is written on its pod, where the operator finds it. So replicas can come and go at any time.

mod api;
mod app;
mod auth;
mod body;
mod config;
mod follow;
mod metrics;
mod openapi;
mod problem;
mod runner;
mod serve;
mod sweep;
mod tls_source;

pub use config::{Config, Limits};
pub use openapi::openapi;
pub use serve::{Clients, Listeners, run};

#[cfg(test)]
mod tests;
