//! The life of a runner pod, as far as all that run pods share it.

pub mod adopt;
pub mod backoff;
pub mod ending;
pub mod fate;
pub mod orphan;
pub mod pod;

pub use ending::{Ending, ending};
pub use pod::{Agent, RunnerPod};
