//! The machine that the figures are from.

use std::{fs, thread};

use anyhow::{Context, Result};
use jiff::Timestamp;
use towline_tests::docker::docker;

/// One line: date, cores, memory, kernel, engine, and how busy the machine was.
pub(crate) fn describe() -> Result<String> {
    let date = Timestamp::now().strftime("%Y-%m-%d");
    let cores = thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let engine = docker(&["version", "--format", "{{.Server.Version}}"])?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!(
        "{date}, {cores} cores ({}), {} GiB, Linux {}, Docker engine {engine}, load {load} at the start.",
        model()?,
        memory_gib()?,
        kernel.trim()
    ))
}

fn memory_gib() -> Result<u64> {
    let info = fs::read_to_string("/proc/meminfo")?;
    let total = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .context("/proc/meminfo has no MemTotal")?;
    let kib: u64 = total.trim().trim_end_matches(" kB").parse()?;
    Ok((kib + (1 << 19)) >> 20)
}

/// Not every architecture names it.
fn model() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let name = info
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "));
    Ok(name
        .map_or(std::env::consts::ARCH, |(_, name)| name)
        .to_owned())
}
