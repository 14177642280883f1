//! The routes of both ports against a Kubernetes API in memory.

mod artifacts;
mod checkpoints;
mod cluster;
mod contract;
mod conversation;
mod fake;
mod logs;
mod reports;
mod runner;
mod serving;
mod sweep;
