//! The operator as a process of its own, and what its metrics say.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

/// How long the operator may take to start, stop or come to rest.
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long nothing may happen before it is called quiet.
const QUIET: Duration = Duration::from_millis(1500);
/// The operator's metrics tell of its writes every 5 s: after this time they tell of all.
const WRITES_TOLD: Duration = Duration::from_secs(6);

/// A running operator.
pub(super) struct OperatorProcess {
    child: Child,
    url: String,
    started: Instant,
}

/// Writes by verb and kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes(BTreeMap<String, u64>);

impl Writes {
    pub(super) fn since(&self, before: &Self) -> Self {
        let changed = |(name, count): (&String, &u64)| {
            let more = count - before.0.get(name).copied().unwrap_or_default();
            (more > 0).then(|| (name.clone(), more))
        };
        Self(self.0.iter().filter_map(changed).collect())
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub(super) fn total(&self) -> f64 {
        self.0.values().sum::<u64>() as f64
    }

    /// By verb and kind, for each of so many Sessions.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub(super) fn each(&self, sessions: usize) -> Vec<(&str, f64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count as f64 / sessions as f64)).collect()
    }
}

/// What the metrics said at one time.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    resident_bytes: f64,
    pub(super) cpu_seconds: f64,
    pub(super) writes: Writes,
    reconciles: f64,
    leading: bool,
}

impl Sample {
    pub(super) fn resident_mib(&self) -> f64 {
        self.resident_bytes / 1024.0 / 1024.0
    }

    fn read(text: &str) -> Self {
        let value =
            |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or(f64::NAN);
        let of = |name: &str| text.lines().filter(|line| line.starts_with(name)).map(value).sum::<f64>();
        let writes =
            text.lines().filter(|line| line.starts_with("drover_api_writes_total{") && !line.contains("\"Lease\""));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole and positive")]
        let count = |line: &str| {
            (
                line.split_once('}').map_or("", |(labels, _)| labels).replace("drover_api_writes_total{", ""),
                value(line) as u64,
            )
        };
        Self {
            resident_bytes: of("process_resident_memory_bytes "),
            cpu_seconds: of("process_cpu_seconds"),
            writes: Writes(writes.map(count).collect()),
            reconciles: of("drover_reconciles_total{"),
            leading: of("drover_leading ") > 0.5,
        }
    }
}

impl OperatorProcess {
    /// Starts the operator with these further arguments, and waits until it leads.
    pub(super) async fn start(binary: &Path, kubeconfig: &Path, namespace: &str, arguments: &[&str]) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let started = Instant::now();
        let child = Command::new(binary)
            .env("KUBECONFIG", kubeconfig)
            // As the chart sets them.
            .envs([("MIMALLOC_ARENA_EAGER_COMMIT", "0"), ("MIMALLOC_PURGE_DELAY", "0")])
            .args([
                "--namespace",
                namespace,
                "--identity",
                "bench",
                "--runner-image",
                "runner",
                "--image-pull-policy",
                "Never",
            ])
            .args(["--gateway-url", "https://gateway", "--gateway-runner-url", "https://gateway:9443"])
            .args(["--gateway-dns-names", "gateway", "--admin-address", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let operator = Self { child, url: format!("http://127.0.0.1:{port}"), started };
        while !operator.sample().await.is_ok_and(|sample| sample.leading) {
            if started.elapsed() > PATIENCE {
                bail!("the operator does not lead");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(operator)
    }

    pub(super) async fn sample(&self) -> Result<Sample> {
        let text = reqwest::get(format!("{}/metrics", self.url)).await?.error_for_status()?.text().await?;
        Ok(Sample::read(&text))
    }

    async fn is_ready(&self) -> Result<bool> {
        Ok(reqwest::get(format!("{}/readyz", self.url)).await?.status().is_success())
    }

    /// The most memory that it ever had resident, in MiB.
    pub(super) fn peak_mib(&self) -> Result<f64> {
        let pid = self.child.id().context("the operator ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// From the start of the process to the last thing that it did before it came to rest.
    pub(super) async fn quiet(&self) -> Result<Duration> {
        let began = Instant::now();
        let mut last = (began, f64::NAN);
        while last.0.elapsed() < QUIET {
            let reconciles = self.sample().await?.reconciles;
            // Before its watches are complete it is not ready, and not quiet either.
            if reconciles.to_bits() != last.1.to_bits() || !self.is_ready().await? {
                last = (Instant::now(), reconciles);
            }
            if began.elapsed() > PATIENCE {
                bail!("the operator does not come to rest");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(last.0 - self.started)
    }

    /// What the metrics say once it came to rest, with all its writes.
    pub(super) async fn at_rest(&self) -> Result<Sample> {
        self.quiet().await?;
        tokio::time::sleep(WRITES_TOLD).await;
        self.sample().await
    }

    /// Asks it to stop, and waits.
    pub(super) async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().context("the operator ended")?;
        Command::new("kill").arg(pid.to_string()).status().await?;
        tokio::time::timeout(PATIENCE, self.child.wait()).await.context("the operator does not stop")??;
        Ok(())
    }
}
