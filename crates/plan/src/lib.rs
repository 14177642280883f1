//! Drover's decisions.
//!
//! Everything here is pure and total: from what was observed, the settings and the time that are passed in, a plan
//! says what to do and what will then be true. Nothing here waits, reads a clock or speaks to anybody.

pub mod build;
pub mod conditions;
pub mod frameworks;
pub mod run;
pub mod session;
pub mod settings;
pub mod time;

pub use settings::Settings;
