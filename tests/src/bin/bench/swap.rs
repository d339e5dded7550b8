//! How long a replacement takes, by Towline and by a script of four `docker` calls, in turn.
//!
//! Both replace the same tiny service behind a published port of their own; for each round a fresh version is pushed
//! that the engine has not. Time begins when Towline says that it picked the intent up, or when the script's shell is
//! started, and ends with the first answer of the new version. How the trigger reaches the host is not in it: that is
//! the doorbell for the one, whose time has a row of its own, and SSH or a runner for the other. What a client sees meanwhile is `steady`'s.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::json;
use towline_protocol::Role;
use towline_tests::{
    child::Process,
    docker::{Web, push},
    github::Delivery,
    host::Host,
    proc::memory_mib,
    relay::{Face, Relay, WEBHOOK_SECRET, token},
    steady::{Clients, Pace},
    wait::until,
};

use crate::{
    Row,
    numbers::{longest_gap, median, spread},
};

const ROUNDS: u64 = 11;
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long the machine is left alone before a round, and the page is asked for after it.
const SETTLE: Duration = Duration::from_millis(500);

/// With the image, the name, and what `docker` is told.
pub(crate) const SCRIPT: &str = r#"image=$1 name=$2; shift 2
docker pull "$image" && docker stop "$name" && docker rm "$name" && docker "$@""#;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let relay = Relay::start(Face::Deployed, &json!({}))?;
    let (ours, theirs) = (site("by-towline")?, site("by-script")?);
    let token = token(Role::Host, "pi", &["octo-org/*"])?;
    let host = Host::new(&relay.url, &token, &ours.section())?;
    let mut towline = host.run()?;
    towline.line(PATIENCE, |line| line.contains("the doorbell is connected"))?;
    let mut pick_ups = Vec::new();
    let (mut by_towline, mut by_script) = (Vec::new(), Vec::new());
    for number in 2..2 + ROUNDS {
        // Who begins alternates.
        if number % 2 == 0 {
            let (pick_up, swap) = by_towline_once(&mut towline, &relay, &ours, number)?;
            pick_ups.push(pick_up);
            by_towline.push(swap);
            by_script.push(by_script_once(&theirs, number)?);
        } else {
            by_script.push(by_script_once(&theirs, number)?);
            let (pick_up, swap) = by_towline_once(&mut towline, &relay, &ours, number)?;
            pick_ups.push(pick_up);
            by_towline.push(swap);
        }
    }
    let mib = |key| Ok::<_, anyhow::Error>(format!("{:.1} MiB", memory_mib(towline.id(), key)?));
    let (resident, peak) = (mib("VmRSS")?, mib("VmHWM")?);
    let what =
        "from a delivery's first byte to the beginning of the work on a host, by the doorbell";
    let mut rows = vec![Row::new(what, spread(&pick_ups, 1, " ms"), "< 100 ms")];
    rows.extend(self::rows(&by_towline, &by_script));
    rows.extend([
        Row::new(
            format!("`towline run`, peak resident during these {ROUNDS} replacements"),
            format!("**{peak}**"),
            "≤ 15 MB",
        ),
        Row::new("the same, resident after them", resident, ""),
    ]);
    Ok(rows)
}

/// One replacement, seen from outside.
struct Swap {
    /// Seconds from the beginning to the new version's first answer.
    took: f64,
    /// The longest time between two good answers, of whichever version, in seconds.
    gap: f64,
    /// How many requests had no good answer.
    failed: u32,
}

fn rows(by_towline: &[Swap], by_script: &[Swap]) -> Vec<Row> {
    let of = |figure: fn(&Swap) -> f64| {
        let each = |swaps: &[Swap]| -> Vec<f64> { swaps.iter().map(figure).collect() };
        (each(by_towline), each(by_script))
    };
    let took = compared("pick-up to new version", " s", 2, of(|swap| swap.took));
    let gaps = compared("longest gap between answers", " s", 2, of(|swap| swap.gap));
    let failed = of(|swap| f64::from(swap.failed));
    let failed = compared("requests that failed", "", 0, failed)
        .into_iter()
        .take(2);
    took.into_iter().chain(gaps).chain(failed).collect()
}

/// Towline's figures and the script's, and their ratios.
fn compared(what: &str, unit: &str, digits: usize, each: (Vec<f64>, Vec<f64>)) -> [Row; 4] {
    let (ours, theirs) = each;
    let pairs = ours.iter().zip(&theirs);
    let ratios: Vec<f64> = pairs.map(|(ours, theirs)| ours / theirs).collect();
    let of_medians = format!("**{:.2}**", median(&ours) / median(&theirs));
    let shown = |figures: &[f64]| spread(figures, digits, unit);
    [
        Row::new(format!("{what}, towline"), shown(&ours), ""),
        Row::new("the same, by the script", shown(&theirs), ""),
        Row::new("towline / script, of the medians", of_medians, "≤ 1.0"),
        Row::new("the same, pair by pair", spread(&ratios, 2, ""), ""),
    ]
}

fn site(image: &str) -> Result<Web> {
    push(image, "v1", "ok")?;
    Web::start(image, "v1")
}

/// The image of this version, pushed, and clients of the page.
fn ready(web: &Web, image: &str, number: u64) -> Result<Clients> {
    push(image, &format!("v{number}"), "ok")?;
    thread::sleep(SETTLE);
    let address = web.url.trim_start_matches("http://").parse()?;
    let clients = Clients::start(address, Pace::HASTY);
    clients.wait_for(PATIENCE, |answer| answer.is_some())?;
    Ok(clients)
}

/// Asks on until a moment after the first answer that is `wanted`.
fn swap(clients: Clients, wanted: &str, begun: Instant) -> Result<Swap> {
    let first = clients.wait_for(PATIENCE, |answer| answer == Some(wanted))?;
    thread::sleep(SETTLE);
    let seen = clients.stop();
    Ok(Swap {
        took: (first - begun).as_secs_f64(),
        gap: longest_gap(seen.good).as_secs_f64(),
        failed: u32::try_from(seen.failed.len())?,
    })
}

/// Milliseconds from the sending of the delivery to the pick-up, which mostly comes before the 202, and the replacement.
fn by_towline_once(
    towline: &mut Process,
    relay: &Relay,
    web: &Web,
    number: u64,
) -> Result<(f64, Swap)> {
    let clients = ready(web, "by-towline", number)?;
    let seen = towline.lines().len();
    let sha = format!("{number:040x}");
    let sent = Instant::now();
    let answer = Delivery::run(number, &sha)?.send(&relay.url, WEBHOOK_SECRET)?;
    ensure!(answer.status == 202, "the relay said {}", answer.body);
    let picked_up = towline.line_after(seen, PATIENCE, |line| line.contains("picked up"))?;
    let swap = swap(clients, &format!("toy v{number}"), picked_up.at)?;
    towline.line_after(seen, PATIENCE, |line| line.contains("healthy"))?;
    until("the old container's end", PATIENCE, || {
        Ok((web.containers()?.len() == 1).then_some(()))
    })?;
    let waited = picked_up.at.duration_since(sent);
    Ok((waited.as_secs_f64() * 1000.0, swap))
}

fn by_script_once(web: &Web, number: u64) -> Result<Swap> {
    let clients = ready(web, "by-script", number)?;
    let tag = format!("v{number}");
    let mut script = Command::new("sh");
    script.args(["-c", SCRIPT, "script"]);
    script.args([&format!("{}:{tag}", web.repository), &web.name]);
    let begun = Instant::now();
    let ran = script.args(web.run_arguments(&tag)).output()?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "the script failed: {said}");
    swap(clients, &format!("toy {tag}"), begun)
}
