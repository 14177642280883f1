//! The routes of both ports against a Kubernetes API in memory.

mod artifacts;
mod contract;
mod fake;
mod logs;
mod runner;
mod serving;
