//! Child objects: the only place where one is made.

mod claim;
pub mod pod;
pub mod service_account;

pub use claim::claim;
pub use pod::{pod, pod_name};
pub use service_account::service_account;
