//! Resident memory of `towline run` while nothing happens: while it polls, and while its doorbell is connected.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;
use towline_protocol::Role;
use towline_tests::{
    docker::{Web, push},
    host::Host,
    proc::memory_mib,
    relay::{Face, Relay, token},
    wait::until,
};

use crate::{Row, numbers::spread};

const STARTS: usize = 3;
const POLLS: u64 = 12;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let relay = Relay::start(Face::Counted, &json!({}))?;
    push("idle", "v1", "ok")?;
    let web = Web::start("idle", "v1")?;
    let token = token(Role::Host, "pi", &["octo-org/*"])?;
    let host = Host::new(&relay.url, &token, &web.section())?;
    let file = fs::read_to_string(host.path("towline.toml"))?;
    let rung = connected(&host)?;
    host.write(&file.replacen("[relay]\n", "[relay]\ndoorbell = false\n", 1))?;
    let (mut now, mut peak) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let mut towline = host.run()?;
        relay.reset_counts()?;
        until("the polls", Duration::from_secs(60), || {
            let polls = relay.counts()?["kv_reads"].as_u64();
            Ok(polls.context("no kv_reads")?.ge(&POLLS).then_some(()))
        })?;
        now.push(memory_mib(towline.id(), "VmRSS")?);
        peak.push(memory_mib(towline.id(), "VmHWM")?);
        towline.terminate(Duration::from_secs(30))?;
    }
    let what = format!("`towline run`, resident after {POLLS} polls");
    Ok(vec![
        Row::new(what, spread(&now, 1, " MiB"), "≤ 10 MB"),
        Row::new(
            "the same, peak since its start",
            spread(&peak, 1, " MiB"),
            "",
        ),
        Row::new(
            "the same with the doorbell connected, peak",
            spread(&rung, 1, " MiB"),
            "≤ 10 MB",
        ),
    ])
}

/// The peaks of processes whose doorbells are connected.
fn connected(host: &Host) -> Result<Vec<f64>> {
    let mut peaks = Vec::new();
    for _ in 0..STARTS {
        let mut towline = host.run()?;
        towline.line(Duration::from_secs(60), |line| {
            line.contains("the doorbell is connected")
        })?;
        peaks.push(memory_mib(towline.id(), "VmHWM")?);
        towline.terminate(Duration::from_secs(30))?;
    }
    Ok(peaks)
}
