//! What operator and gateway share of the Kubernetes API: the client, caches fed by watches, the work queue, the lease,
//! reviews of who calls, and the writer.

pub mod cache;
pub mod client;
pub mod decoded;
pub mod lease;
pub mod queue;
pub mod reviews;
pub mod watch;
pub mod writer;
