//! The real binary, as broker and as `exec`, with a gateway of the test's own behind real TLS.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agent;
mod artifacts;
mod gateway;
mod harness;
mod install;
mod log;
mod stop;
