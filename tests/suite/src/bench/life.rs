//! The whole life of Sessions whose pods run at once and end with a last report: a simulated kubelet plays them.

use anyhow::{Context, Result, ensure};

use super::{
    Bar, Bench,
    load::{self, Load, Sight},
    process::Writes,
};
use crate::kubelet::{Kubelet, Script};

const LIFE: Load = Load { name: "whole life, 300 at 20/s", count: 300, rate: 20, namespaces: 1 };
/// The reports that the simulated kubelet writes for each Session, as its broker and the gateway would.
const REPORTS: u32 = 1;
/// Made once for the Sessions of a namespace, so it is not a write of each.
const ONCE_A_NAMESPACE: &str = "\"ServiceAccount\"";
/// What is written exactly once in each life.
const CREATED: &str = "verb=\"create\",kind=\"Pod\"";
const DELETED: &str = "verb=\"delete\",kind=\"Pod\"";

impl Bench<'_> {
    pub(super) async fn life(&mut self) -> Result<()> {
        let operator = self.start(&[]).await?;
        let _kubelet = Kubelet::start(&self.client, &LIFE.namespace(0), vec![Script::default()]);
        let count = LIFE.count / self.options.divide;
        let before = operator.at_rest().await?;
        let delays = load::run(&self.client, &LIFE, count, Sight::Success).await.context(LIFE.name)?;
        let after = operator.at_rest().await?;
        self.report.row("created → Succeeded recorded, P50, 300 at 20/s", delays.percentile(50), "ms", Bar::None);
        self.report.row("created → Succeeded recorded, P99, 300 at 20/s", delays.percentile(99), "ms", Bar::None);
        self.report.longest(LIFE.name, &delays, &mut std::io::stderr())?;
        let writes = after.writes.since(&before.writes);
        let each = self.writes("until its end is recorded", &writes, CREATED, count)?;
        let all = each + f64::from(REPORTS);
        self.report.row("writes a Session until its end is recorded, its report included", all, "", Bar::AtMost(5.0));
        ensure!(load::pods(&self.client).await? == count, "pods were taken away before they were to be");
        operator.stop().await?;

        // The successor keeps no pod: whatever it writes is for the reclaim.
        let operator = self.start(&["--pod-retention=1s"]).await?;
        load::reclaimed(&self.client).await?;
        let each = self.writes("at reclaim", &operator.at_rest().await?.writes, DELETED, count)?;
        self.report.row("writes a Session at reclaim", each, "", Bar::AtMost(2.0));
        operator.stop().await
    }

    /// A row for each verb and kind. Returns how many there were for each Session, which cannot do without `once`.
    fn writes(&mut self, when: &str, writes: &Writes, once: &str, count: usize) -> Result<f64> {
        let mut all = 0.0;
        ensure!(writes.each(count).contains(&(once, 1.0)), "the metrics do not tell of every write: {writes:?}");
        for (name, each) in writes.each(count) {
            self.report.row(&format!("writes a Session {when}, {name}"), each, "", Bar::None);
            if !name.contains(ONCE_A_NAMESPACE) {
                all += each;
            }
        }
        Ok(all)
    }
}
