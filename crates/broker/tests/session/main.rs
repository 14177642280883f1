//! A broker through the life of its Session, with a gateway of the test's own behind real TLS; the test is `exec`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conversation;
mod gateway;
mod kept;
mod pod;
mod restart;
mod stop;
