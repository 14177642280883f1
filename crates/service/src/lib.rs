//! What every long-running binary of Drover shares: the clock, logs, the admin port with health and metrics, TLS, and
//! stopping in good order.

pub mod admin;
pub mod clock;
pub mod logs;
mod process;
pub mod server;
pub mod shutdown;
pub mod tls;
