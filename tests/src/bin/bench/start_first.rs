//! What clients behind nginx see of replacements, by Towline start-first and by a script of four `docker` calls, in turn.
//!
//! Each has a service of its own behind an nginx of its own, which asks Docker's DNS again each second, and 200 requests a second go
//! through that during each replacement and for a moment after it.

use std::{process::Command, thread, time::Duration};

use anyhow::{Result, ensure};
use serde_json::json;
use towline_protocol::Role;
use towline_tests::{
    child::Process,
    docker::push,
    github::Delivery,
    host::Host,
    nginx::Behind,
    relay::{Face, Relay, WEBHOOK_SECRET, token},
    steady::{Clients, Pace, Seen},
};

use crate::{
    Row,
    numbers::{longest_gap, spread},
    swap::SCRIPT,
};

const ROUNDS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long is asked before and after each.
const SETTLE: Duration = Duration::from_secs(2);
const STRATEGY: &str = "strategy = \"start-first\"\ndrain = \"3s\"";

pub(crate) fn measure() -> Result<Vec<Row>> {
    let relay = Relay::start(Face::Deployed, &json!({}))?;
    let (ours, theirs) = (
        Behind::nginx("first-by-towline")?,
        Behind::nginx("first-by-script")?,
    );
    let token = token(Role::Host, "pi", &["octo-org/*"])?;
    let section = ours.section("octo-org/web", STRATEGY);
    let host = Host::new(&relay.url, &token, &section)?;
    let mut towline = host.run()?;
    towline.line(PATIENCE, |line| line.contains("the doorbell is connected"))?;
    let (mut by_towline, mut by_script, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for number in 2..2 + ROUNDS {
        let (seen, seconds) = by_towline_once(&mut towline, &relay, &ours, number)?;
        by_towline.push(seen);
        took.push(seconds);
        by_script.push(by_script_once(&theirs, number)?);
    }
    let mut rows = rows("towline, start-first", &by_towline, "0 failed");
    let what = "from the pick-up to the end, of which 3 s drain".to_owned();
    rows.push(Row::new(what, spread(&took, 1, " s"), ""));
    rows.extend(self::rows("the script", &by_script, ""));
    Ok(rows)
}

fn rows(by: &str, swaps: &[Seen], aim: &'static str) -> Vec<Row> {
    let failed: usize = swaps.iter().map(|seen| seen.failed.len()).sum();
    let asked = failed + swaps.iter().map(|seen| seen.good.len()).sum::<usize>();
    let gaps = swaps.iter().map(|seen| longest_gap(seen.good.clone()));
    let gaps: Vec<f64> = gaps.map(|gap| gap.as_secs_f64()).collect();
    let slowest = swaps.iter().map(|seen| seen.slowest.as_secs_f64() * 1000.0);
    let slowest: Vec<f64> = slowest.collect();
    vec![
        Row::new(
            format!("requests through nginx in {ROUNDS} replacements, 200 a second, {by}"),
            format!("**{failed} failed** of {asked}"),
            aim,
        ),
        Row::new(
            "longest gap between good answers in each",
            spread(&gaps, 2, " s"),
            "",
        ),
        Row::new("slowest request in each", spread(&slowest, 0, " ms"), ""),
    ]
}

/// Clients of version `number - 1`, whose successor is pushed.
fn ready(behind: &Behind, image: &str, number: u64) -> Result<Clients> {
    push(image, &format!("v{number}"), "ok")?;
    let clients = Clients::start(behind.address, Pace::BUSY);
    let before = format!("toy v{}", number - 1);
    clients.wait_for(PATIENCE, |page| page == Some(&before))?;
    thread::sleep(SETTLE);
    Ok(clients)
}

/// What is seen until a moment after the new version's first answer.
fn seen(clients: Clients, number: u64) -> Result<Seen> {
    let after = format!("toy v{number}");
    clients.wait_for(PATIENCE, |page| page == Some(&after))?;
    thread::sleep(SETTLE);
    Ok(clients.stop())
}

/// What was seen, and the seconds that it took.
fn by_towline_once(
    towline: &mut Process,
    relay: &Relay,
    behind: &Behind,
    number: u64,
) -> Result<(Seen, f64)> {
    let clients = ready(behind, "first-by-towline", number)?;
    let lines = towline.lines().len();
    let answer =
        Delivery::run(number, &format!("{number:040x}"))?.send(&relay.url, WEBHOOK_SECRET)?;
    ensure!(answer.status == 202, "the relay said {}", answer.body);
    let picked_up = towline.line_after(lines, PATIENCE, |line| line.contains("picked up"))?;
    let over = towline.line_after(lines, PATIENCE, |line| line.contains("succeeded"))?;
    ensure!(
        behind.containers()? == [behind.name.as_str()],
        "the old container is still there"
    );
    let took = (over.at - picked_up.at).as_secs_f64();
    Ok((seen(clients, number)?, took))
}

fn by_script_once(behind: &Behind, number: u64) -> Result<Seen> {
    let clients = ready(behind, "first-by-script", number)?;
    let tag = format!("v{number}");
    let mut script = Command::new("sh");
    script.args(["-c", SCRIPT, "script"]);
    script.args([&format!("{}:{tag}", behind.repository), &behind.name]);
    let ran = script.args(behind.run_arguments(&tag)).output()?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "the script failed: {said}");
    seen(clients, number)
}
