//! `drover-operator`: runs Sessions in pods.
//!
//! One reconcile shape for every kind: observe, plan, execute, settle, and one write of the status. What to do is
//! decided in `drover_plan`; here it is read, written and woken up for.

mod certificates;
pub mod config;
mod events;
mod execute;
mod farewell;
mod metrics;
mod observe;
mod reconcile;
mod run;
mod sources;
mod workers;

pub use metrics::Metrics;
pub use run::{Error, Operator, Options};
