//! What the kernel knows of this process, read at each scrape.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Ticks a second of the CPU times in `/proc`: part of Linux' interface to user space, the same on every architecture
/// that Drover is built for.
const USER_HZ: f64 = 100.0;

/// The metrics `process_resident_memory_bytes` and `process_cpu_seconds_total`. Where `/proc` cannot be read they are
/// left out.
#[derive(Debug)]
pub(crate) struct ProcessMetrics;

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(bytes) = read("/proc/self/status").as_deref().and_then(resident_bytes) {
            let metric = encoder.encode_descriptor(
                "process_resident_memory",
                "Memory of the process that is in RAM",
                Some(&Unit::Bytes),
                MetricType::Gauge,
            )?;
            ConstGauge::new(bytes).encode(metric)?;
        }
        if let Some(seconds) = read("/proc/self/stat").as_deref().and_then(cpu_seconds) {
            let metric = encoder.encode_descriptor(
                "process_cpu",
                "CPU time that the process has used",
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?;
            ConstCounter::new(seconds).encode(metric)?;
        }
        Ok(())
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// `VmRSS` of `/proc/self/status`, which the kernel gives in KiB.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Time in user and kernel mode, fields 14 and 15 of `/proc/self/stat`. The second field, the command, may hold spaces
/// and parentheses, so counting starts behind its end.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u32 = times.next()?.parse().ok()?;
    let kernel: u32 = times.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(kernel)) / USER_HZ)
}

#[cfg(test)]
mod tests;
