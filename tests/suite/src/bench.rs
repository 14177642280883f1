//! The benchmark: one operator process, one API server, and the load of the design's section 11; then, on a real node,
//! what people wait for.

mod delays;
mod life;
mod load;
mod namespaces;
mod node;
mod process;
mod report;

use std::{path::PathBuf, time::Duration};

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
use load::{Load, Sight};
use process::OperatorProcess;
use report::Bar;

/// Drover's own namespace.
const SYSTEM: &str = "drover-system";
/// How long nothing is created before steady state is measured, and for how long it is.
const SETTLE: Duration = Duration::from_secs(8);

/// What is measured, and with what.
pub struct Options {
    /// The operator's binary.
    pub operator: PathBuf,
    /// Divides the load, and the runs on the node.
    pub divide: usize,
    /// The parts, in their order.
    pub parts: Vec<Part>,
}

/// The benchmark's parts. Each but the last has an API server of its own, so that they do not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The load of Sessions whose pods never run, and all that it leads to.
    Load,
    /// The load the other way round over namespaces, for the latency.
    Spread,
    /// Whole lives, with a simulated kubelet.
    Life,
    /// Cancellation and the agent's first instruction on a real node, where Drover is installed by its chart.
    Node,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Load, Self::Spread, Self::Life, Self::Node];
}

/// Measures.
///
/// # Errors
/// When a cluster or the operator does not do what is asked of it. Where no node is to be had, the report says so.
pub async fn run(options: Options) -> Result<Report> {
    let mut report = Report::new();
    for part in Part::ALL {
        match part {
            _ if !options.parts.contains(&part) => {
                report.not_measured(&format!("the part {part:?}"), "it was not asked for");
            }
            Part::Load => Bench::new(&options, &mut report).await?.load().await?,
            Part::Spread => Bench::new(&options, &mut report).await?.spread().await?,
            Part::Life => Bench::new(&options, &mut report).await?.life().await?,
            Part::Node => Box::pin(node::measure(&mut report, options.divide)).await?,
        }
    }
    Ok(report)
}

/// The bars for created → Pod, P99, in milliseconds.
const P99_AT_20: f64 = 30.0;
const P99_AT_75: f64 = 50.0;

const SLOW: Load = Load { name: "300 at 20/s", count: 300, rate: 20, namespaces: 1 };
const FEW_IN_ONE: Load = Load { name: "750 at 75/s", count: 750, rate: 75, namespaces: 1 };
const FEW_SPREAD: Load = Load { name: "750 at 75/s over 50 namespaces", count: 750, rate: 75, namespaces: 50 };
const MANY_IN_ONE: Load = Load { name: "3,250 at 75/s", count: 3250, rate: 75, namespaces: 1 };
const MANY_SPREAD: Load = Load { name: "3,250 at 75/s over 50 namespaces", count: 3250, rate: 75, namespaces: 50 };

/// A part that has an API server of its own.
struct Bench<'a> {
    cluster: api_server::Fresh,
    client: Client,
    options: &'a Options,
    report: &'a mut Report,
}

async fn prepare(client: &Client) -> Result<()> {
    namespaces::make(client, &[SYSTEM.to_owned()]).await?;
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": FRAMEWORKS_CONFIG_MAP },
        "data": { "shell": "{image: shell, command: [/bin/sh, '{promptFile}']}" },
    });
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM);
    maps.patch(FRAMEWORKS_CONFIG_MAP, &PatchParams::apply("bench").force(), &Patch::Apply(map)).await?;
    Ok(())
}

impl<'a> Bench<'a> {
    async fn new(options: &'a Options, report: &'a mut Report) -> Result<Self> {
        let cluster = api_server::Fresh::start("bench").await?;
        let client = cluster.client().await?;
        prepare(&client).await?;
        Ok(Self { cluster, client, options, report })
    }

    async fn spread(&mut self) -> Result<()> {
        let operator = self.start(&[]).await?;
        self.latency(&operator, &FEW_SPREAD, P99_AT_75).await?;
        self.latency(&operator, &MANY_IN_ONE, P99_AT_75).await?;
        operator.stop().await
    }

    async fn load(&mut self) -> Result<()> {
        let operator = self.start(&[]).await?;
        tokio::time::sleep(SETTLE).await;
        let idle = operator.sample().await?;
        self.report.row("memory, idle", idle.resident_mib(), "MiB", Bar::AtMost(14.0));
        self.latency(&operator, &SLOW, P99_AT_20).await?;
        self.latency(&operator, &FEW_IN_ONE, P99_AT_75).await?;
        self.steady(&operator, "1,050 Sessions", 40.0).await?;
        self.latency(&operator, &MANY_SPREAD, P99_AT_75).await?;
        self.steady(&operator, "4,300 Sessions", 40.0).await?;
        self.relist(&operator, "4,300 Sessions", 40.0).await?;
        let operator = self.restart(operator, "4,300 Sessions", 3.0).await?;
        load::finished(&self.client, 5700 / self.options.divide).await?;
        self.steady(&operator, "10,000 Sessions", 64.0).await?;
        self.relist(&operator, "10,000 Sessions", 64.0).await?;
        let operator = self.restart(operator, "10,000 Sessions", 5.0).await?;
        operator.stop().await
    }

    async fn start(&self, arguments: &[&str]) -> Result<OperatorProcess> {
        OperatorProcess::start(&self.options.operator, self.cluster.kubeconfig(), SYSTEM, arguments).await
    }

    /// Created → Pod, and the writes that it took.
    async fn latency(&mut self, operator: &OperatorProcess, load: &Load, p99: f64) -> Result<()> {
        let before = operator.at_rest().await?;
        let count = load.count / self.options.divide;
        let delays = load::run(&self.client, load, count, Sight::Pod).await.context(load.name)?;
        let after = operator.at_rest().await?;
        let name = load.name;
        self.report.row(&format!("created → Pod, P50, {name}"), delays.percentile(50), "ms", Bar::AtMost(12.0));
        self.report.row(&format!("created → Pod, P99, {name}"), delays.percentile(99), "ms", Bar::AtMost(p99));
        self.report.longest(name, &delays, &mut std::io::stderr())?;
        for (verb, each) in after.writes.since(&before.writes).each(count) {
            self.report.row(&format!("writes a Session, {verb}, {name}"), each, "", Bar::None);
        }
        let cpu = after.cpu_seconds - before.cpu_seconds;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        self.report.row(&format!("CPU a Session, {name}"), cpu * 1000.0 / count as f64, "ms", Bar::None);
        Ok(())
    }

    /// What an operator does that has nothing to do.
    async fn steady(&mut self, operator: &OperatorProcess, size: &str, mib: f64) -> Result<()> {
        let before = operator.at_rest().await?;
        tokio::time::sleep(SETTLE).await;
        let after = operator.sample().await?;
        let writes = after.writes.since(&before.writes).total();
        let what = format!("writes at steady state in {} s, {size}", SETTLE.as_secs());
        self.report.row(&what, writes, "", Bar::AtMost(0.0));
        let cpu = (after.cpu_seconds - before.cpu_seconds) / SETTLE.as_secs_f64() * 1000.0;
        self.report.row(&format!("CPU at steady state, {size}"), cpu, "m", Bar::None);
        self.report.row(&format!("memory, {size}"), after.resident_mib(), "MiB", Bar::AtMost(mib));
        Ok(())
    }

    /// Memory after every watch had to begin anew.
    async fn relist(&mut self, operator: &OperatorProcess, size: &str, mib: f64) -> Result<()> {
        self.cluster.restart_api_server().await?;
        // A write makes the watches' old place too old for the API server's new watch cache.
        load::touch(&self.client).await?;
        tokio::time::sleep(SETTLE).await;
        let resident = operator.sample().await?.resident_mib();
        self.report.row(&format!("memory after a forced re-list, {size}"), resident, "MiB", Bar::AtMost(mib));
        self.report.row(&format!("memory at its peak, {size}"), operator.peak_mib()?, "MiB", Bar::None);
        Ok(())
    }

    /// From the start of the process until it has nothing more to do.
    async fn restart(&mut self, operator: OperatorProcess, size: &str, seconds: f64) -> Result<OperatorProcess> {
        operator.stop().await?;
        let operator = self.start(&[]).await?;
        let quiet = operator.quiet().await?;
        self.report.row(&format!("restart → quiet, {size}"), quiet.as_secs_f64(), "s", Bar::AtMost(seconds));
        let writes = operator.at_rest().await?.writes.total();
        self.report.row(&format!("writes at a restart, {size}"), writes, "", Bar::AtMost(0.0));
        Ok(operator)
    }
}
