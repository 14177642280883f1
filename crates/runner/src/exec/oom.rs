//! Noticing that the kernel killed a process for want of memory.
//!
//! Where the whole container is killed the kubelet says so. On cgroup v1, and without group kill on v2, only one
//! process is, and the container's own exit code does not tell.

use std::path::Path;

/// The counter's places: cgroup v2, cgroup v1.
const COUNTERS: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// The number of kills when the agent was started.
#[derive(Debug)]
pub(super) struct OomCounter {
    before: Option<u64>,
}

impl OomCounter {
    pub(super) fn start() -> Self {
        Self { before: kills() }
    }

    /// Whether there were kills since.
    pub(super) fn rose(&self) -> bool {
        matches!((self.before, kills()), (Some(before), Some(now)) if now > before)
    }
}

fn kills() -> Option<u64> {
    COUNTERS.iter().find_map(|path| parse(&std::fs::read_to_string(Path::new(path)).ok()?))
}

/// The value of `oom_kill` in lines of `key value`.
fn parse(counters: &str) -> Option<u64> {
    counters.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests;
