//! What `docs/benchmarks.md` says, measured on one machine in one run: `make bench`.
//!
//! `bench [PART...]` prints a Markdown table, of all parts or of those named: size, relay, deliver, fleet, memory,
//! swap, start-first. Nothing is asserted: a figure that misses its aim is printed all the same, and an error
//! means that it could not be measured. Progress goes to standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "telling the figures is what this program is for"
)]

use std::env;

use anyhow::Result;

mod deliver;
mod fleet;
mod machine;
mod memory;
mod numbers;
mod relay_cpu;
mod size;
mod start_first;
mod swap;

/// A line of the table.
struct Row {
    what: String,
    measured: String,
    aim: &'static str,
}

impl Row {
    fn new(what: impl Into<String>, measured: impl Into<String>, aim: &'static str) -> Self {
        Self {
            what: what.into(),
            measured: measured.into(),
            aim,
        }
    }
}

/// A part of the run: its name, and what it measures.
type Part = (&'static str, fn() -> Result<Vec<Row>>);

const PARTS: [Part; 7] = [
    ("size", size::measure),
    ("relay", relay_cpu::measure),
    ("deliver", deliver::measure),
    ("fleet", fleet::measure),
    ("memory", memory::measure),
    ("swap", swap::measure),
    ("start-first", start_first::measure),
];

fn main() -> Result<()> {
    let named: Vec<String> = env::args().skip(1).collect();
    println!("{}\n", machine::describe()?);
    let mut rows = Vec::new();
    for (name, measure) in PARTS {
        if named.is_empty() || named.iter().any(|one| one == name) {
            eprintln!("measuring: {name}");
            rows.extend(measure()?);
        }
    }
    println!("| what | measured | aim |\n|---|---|---|");
    for row in rows {
        println!("| {} | {} | {} |", row.what, row.measured, row.aim);
    }
    Ok(())
}
