//! The benchmark: one operator process, one API server, and the load of the design's section 11.

mod load;
mod process;
mod report;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use drover_api::names::FRAMEWORKS_CONFIG_MAP;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

pub use report::{Report, print};

use crate::api_server;
use load::Load;
use process::OperatorProcess;
use report::{Bar, Row};

/// Drover's own namespace.
const SYSTEM: &str = "drover-system";
/// How long nothing is created before steady state is measured, and for how long it is.
const SETTLE: Duration = Duration::from_secs(8);

/// Runs everything. `divide` divides the load.
///
/// # Errors
/// When the cluster or the operator does not do what is asked of it.
pub async fn run(operator: &Path, divide: usize) -> Result<Report> {
    let mut rows = Vec::new();
    for part in [Part::Whole, Part::Spread] {
        let cluster = api_server::Fresh::start("bench").await?;
        let client = cluster.client().await?;
        prepare(&client).await?;
        let mut bench = Bench { cluster, client, binary: operator.to_owned(), divide, rows };
        match part {
            Part::Whole => bench.whole().await?,
            Part::Spread => bench.spread().await?,
        }
        rows = bench.rows;
    }
    Ok(Report::new(rows))
}

const SLOW: Load = Load { name: "300 at 20/s", count: 300, rate: 20, namespaces: 1, p99: 30.0 };
const FEW_IN_ONE: Load = Load { name: "750 at 75/s", count: 750, rate: 75, namespaces: 1, p99: 50.0 };
const FEW_SPREAD: Load =
    Load { name: "750 at 75/s over 50 namespaces", count: 750, rate: 75, namespaces: 50, p99: 50.0 };
const MANY_IN_ONE: Load = Load { name: "3,250 at 75/s", count: 3250, rate: 75, namespaces: 1, p99: 50.0 };
const MANY_SPREAD: Load =
    Load { name: "3,250 at 75/s over 50 namespaces", count: 3250, rate: 75, namespaces: 50, p99: 50.0 };

/// The benchmark's parts, each on an API server of its own.
#[derive(Clone, Copy)]
enum Part {
    /// The load, and all that it leads to.
    Whole,
    /// The other way round over namespaces, for the latency.
    Spread,
}

struct Bench {
    cluster: api_server::Fresh,
    client: Client,
    binary: std::path::PathBuf,
    divide: usize,
    rows: Vec<Row>,
}

async fn prepare(client: &Client) -> Result<()> {
    load::namespace(client, SYSTEM).await?;
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": FRAMEWORKS_CONFIG_MAP },
        "data": { "shell": "{image: shell, command: [/bin/sh, '{promptFile}']}" },
    });
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM);
    maps.patch(FRAMEWORKS_CONFIG_MAP, &PatchParams::apply("bench").force(), &Patch::Apply(map)).await?;
    Ok(())
}

impl Bench {
    async fn spread(&mut self) -> Result<()> {
        let operator = self.start().await?;
        self.latency(&operator, &FEW_SPREAD).await?;
        self.latency(&operator, &MANY_IN_ONE).await?;
        operator.stop().await
    }

    async fn whole(&mut self) -> Result<()> {
        let operator = self.start().await?;
        tokio::time::sleep(SETTLE).await;
        let idle = operator.sample().await?;
        self.row("memory, idle", idle.resident_mib(), "MiB", Bar::AtMost(14.0));
        self.latency(&operator, &SLOW).await?;
        self.latency(&operator, &FEW_IN_ONE).await?;
        self.steady(&operator, "1,050 Sessions", 40.0).await?;
        self.latency(&operator, &MANY_SPREAD).await?;
        self.steady(&operator, "4,300 Sessions", 40.0).await?;
        self.relist(&operator, "4,300 Sessions", 40.0).await?;
        let operator = self.restart(operator, "4,300 Sessions", 3.0).await?;
        load::finished(&self.client, 5700 / self.divide).await?;
        self.steady(&operator, "10,000 Sessions", 64.0).await?;
        self.relist(&operator, "10,000 Sessions", 64.0).await?;
        let operator = self.restart(operator, "10,000 Sessions", 5.0).await?;
        operator.stop().await
    }

    async fn start(&self) -> Result<OperatorProcess> {
        OperatorProcess::start(&self.binary, self.cluster.kubeconfig(), SYSTEM).await
    }

    fn row(&mut self, what: &str, value: f64, unit: &'static str, bar: Bar) {
        let row = Row { what: what.to_owned(), value, unit, bar };
        tracing::info!("{row}");
        self.rows.push(row);
    }

    /// Created → Pod, and the writes that it took.
    async fn latency(&mut self, operator: &OperatorProcess, load: &Load) -> Result<()> {
        let before = operator.sample().await?;
        let count = load.count / self.divide;
        let delays = load::run(&self.client, load, count).await.with_context(|| load.name)?;
        tokio::time::sleep(SETTLE).await;
        let after = operator.sample().await?;
        self.row(&format!("created → Pod, P50, {}", load.name), delays.percentile(50), "ms", Bar::AtMost(12.0));
        self.row(&format!("created → Pod, P99, {}", load.name), delays.percentile(99), "ms", Bar::AtMost(load.p99));
        let writes = after.writes.since(&before.writes);
        for (verb, total) in &writes {
            #[expect(clippy::cast_precision_loss, reason = "counts are small")]
            let each = *total as f64 / count as f64;
            self.row(&format!("writes a Session, {verb}, {}", load.name), each, "", Bar::None);
        }
        let cpu = after.cpu_seconds - before.cpu_seconds;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        self.row(&format!("CPU a Session, {}", load.name), cpu * 1000.0 / count as f64, "ms", Bar::None);
        Ok(())
    }

    /// What an operator does that has nothing to do.
    async fn steady(&mut self, operator: &OperatorProcess, size: &str, mib: f64) -> Result<()> {
        operator.quiet().await?;
        let before = operator.sample().await?;
        tokio::time::sleep(SETTLE).await;
        let after = operator.sample().await?;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let writes = after.writes.since(&before.writes).values().sum::<u64>() as f64;
        self.row(&format!("writes at steady state in {} s, {size}", SETTLE.as_secs()), writes, "", Bar::AtMost(0.0));
        let cpu = (after.cpu_seconds - before.cpu_seconds) / SETTLE.as_secs_f64() * 1000.0;
        self.row(&format!("CPU at steady state, {size}"), cpu, "m", Bar::None);
        self.row(&format!("memory, {size}"), after.resident_mib(), "MiB", Bar::AtMost(mib));
        Ok(())
    }

    /// Memory after every watch had to begin anew.
    async fn relist(&mut self, operator: &OperatorProcess, size: &str, mib: f64) -> Result<()> {
        self.cluster.restart_api_server().await?;
        // A write makes the watches' old place too old for the API server's new watch cache.
        load::touch(&self.client).await?;
        tokio::time::sleep(SETTLE).await;
        let sample = operator.sample().await?;
        self.row(&format!("memory after a forced re-list, {size}"), sample.resident_mib(), "MiB", Bar::AtMost(mib));
        self.row(&format!("memory at its peak, {size}"), operator.peak_mib()?, "MiB", Bar::None);
        Ok(())
    }

    /// From the start of the process until it has nothing more to do.
    async fn restart(&mut self, operator: OperatorProcess, size: &str, seconds: f64) -> Result<OperatorProcess> {
        operator.stop().await?;
        let operator = self.start().await?;
        let quiet = operator.quiet().await?;
        self.row(&format!("restart → quiet, {size}"), quiet.as_secs_f64(), "s", Bar::AtMost(seconds));
        let sample = operator.sample().await?;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let writes = sample.writes.total() as f64;
        self.row(&format!("writes at a restart, {size}"), writes, "", Bar::AtMost(0.0));
        Ok(operator)
    }
}
