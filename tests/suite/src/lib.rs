//! What the tests on a real API server and a real node share: the cluster, a simulated kubelet, faults, and a world in
//! which an operator lives and dies.

pub mod api_server;
pub mod bench;
pub mod console;
pub mod faults;
pub mod installed;
pub mod kubelet;
pub mod world;
