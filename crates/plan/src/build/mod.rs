//! Child objects: the only place where one is made.

pub mod pod;
pub mod service_account;

pub use pod::{pod, pod_name};
pub use service_account::service_account;
