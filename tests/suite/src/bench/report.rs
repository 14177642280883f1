//! The results against their bars.

use std::{fmt, io::Write};

use anyhow::Result;
use serde::Serialize;

use super::delays::{Delay, Delays};

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
    what: String,
    value: f64,
    unit: &'static str,
    bar: Bar,
}

impl Row {
    fn is_missed(&self) -> bool {
        match self.bar {
            Bar::None => false,
            // What could not be computed does not hold.
            Bar::AtMost(bar) => self.value.is_nan() || self.value > bar,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:72} {:>9.2} {:4}", self.what, self.value, self.unit)?;
        match self.bar {
            Bar::None => Ok(()),
            Bar::AtMost(bar) if self.is_missed() => write!(f, "  at most {bar}: MISSED"),
            Bar::AtMost(bar) => write!(f, "  at most {bar}: holds"),
        }
    }
}

/// The longest delays of one load.
#[derive(Debug, Serialize)]
struct Longest {
    load: &'static str,
    delays: Vec<Delay>,
}

/// How many of the longest delays are told, so that a missed bar can be explained.
const LONGEST: usize = 10;

/// All results, and the machine that they come from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    machine: String,
    rows: Vec<Row>,
    longest_delays: Vec<Longest>,
    /// What is not among the rows, and why.
    not_measured: Vec<String>,
}

impl Report {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self {
            machine: format!("{cores} cores, everything on one machine"),
            rows: Vec::new(),
            longest_delays: Vec::new(),
            not_measured: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, what: &str, value: f64, unit: &'static str, bar: Bar) {
        self.rows.push(Row { what: what.to_owned(), value, unit, bar });
    }

    /// Keeps the longest delays of a load, and tells of them at once.
    pub(super) fn longest(&mut self, load: &'static str, delays: &Delays, to: &mut impl Write) -> Result<()> {
        let delays = delays.longest(LONGEST);
        writeln!(to, "longest delays of {load}: milliseconds, created at this second of the run, Session")?;
        for delay in &delays {
            let first = if delay.first_of_namespace { "  first of its namespace" } else { "" };
            writeln!(to, "{:9.1} {:7.1}  {}{first}", delay.milliseconds, delay.seconds_into_run, delay.session)?;
        }
        self.longest_delays.push(Longest { load, delays });
        Ok(())
    }

    pub(super) fn not_measured(&mut self, what: &str, why: &str) {
        self.not_measured.push(format!("{what}: {why}"));
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
    for what in &report.not_measured {
        writeln!(to, "not measured: {what}")?;
    }
    let missed = report.rows.iter().filter(|row| row.is_missed()).count();
    writeln!(to, "\n{missed} bars missed")?;
    Ok(())
}
