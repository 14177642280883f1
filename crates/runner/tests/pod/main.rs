//! The real binary, as broker and as `exec`: together, with a gateway of the test's own behind real TLS;
//! and `exec` alone, with a broker of the test's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agent;
mod artifacts;
mod broker;
mod conversation;
mod gateway;
mod hardened;
mod harness;
mod install;
mod log;
mod stop;
mod turns;
mod waiting;
