//! The results against their bars.

use std::{fmt, io::Write};

use anyhow::Result;
use serde::Serialize;

/// What a value is held against.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Bar {
    /// Nothing; the value is told.
    None,
    /// No more than this.
    AtMost(f64),
}

/// One result.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    pub(super) bar: Bar,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:62} {:>9.2} {:4}", self.what, self.value, self.unit)?;
        match self.bar {
            Bar::None => Ok(()),
            Bar::AtMost(bar) if self.value <= bar => write!(f, "  at most {bar}: holds"),
            Bar::AtMost(bar) => write!(f, "  at most {bar}: MISSED"),
        }
    }
}

/// All results, and the machine that they come from.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: String,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self { machine: format!("{cores} cores, everything on one machine"), rows }
    }
}

/// Prints the results as a table.
///
/// # Errors
/// When they cannot be written.
pub fn print(report: &Report, to: &mut impl Write) -> Result<()> {
    writeln!(to, "\n{}", report.machine)?;
    for row in &report.rows {
        writeln!(to, "{row}")?;
    }
    let missed = report.rows.iter().filter(|row| matches!(row.bar, Bar::AtMost(bar) if row.value > bar)).count();
    writeln!(to, "\n{missed} bars missed")?;
    Ok(())
}
