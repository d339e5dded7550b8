//! How long a replacement takes, by Towline and by a script of four `docker` calls, in turn.
//!
//! Both replace the same tiny service behind a published port of their own; for each round a fresh version is pushed
//! that the engine has not. Time begins when Towline says that it picked the intent up, or when the script's shell is
//! started, and ends with the first answer of the new version. How the trigger reaches the host is not in it: that is
//! the poll's interval for the one, and SSH or a runner for the other.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use towline_protocol::Role;
use towline_tests::{
    child::Process,
    docker::{Web, push},
    github::Delivery,
    host::Host,
    relay::{Face, Relay, WEBHOOK_SECRET, token},
    wait::until,
};

use crate::{
    Row,
    numbers::{longest_gap, spread},
    proc::memory_mib,
};

const ROUNDS: u64 = 15;
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the page is asked for, each time by a new connection that waits for no other.
const EVERY: Duration = Duration::from_millis(5);
/// For how long it is asked on after the new version's first answer, and the machine is left alone before a round.
const SETTLE: Duration = Duration::from_millis(500);

const SCRIPT: &str = r#"image=$1 name=$2; shift 2
docker pull "$image" && docker stop "$name" && docker rm "$name" && docker "$@""#;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let relay = Relay::start(Face::Deployed, &json!({}))?;
    let (ours, theirs) = (site("by-towline")?, site("by-script")?);
    let token = token(Role::Host, "pi", &["octo-org/*"])?;
    let host = Host::new(&relay.url, &token, &ours.section())?;
    let mut towline = host.run()?;
    let (mut by_towline, mut by_script) = (Vec::new(), Vec::new());
    for number in 2..2 + ROUNDS {
        // Who begins alternates.
        if number % 2 == 0 {
            by_towline.push(by_towline_once(&mut towline, &relay, &ours, number)?);
            by_script.push(by_script_once(&theirs, number)?);
        } else {
            by_script.push(by_script_once(&theirs, number)?);
            by_towline.push(by_towline_once(&mut towline, &relay, &ours, number)?);
        }
    }
    let resident = memory_mib(towline.id(), "VmRSS")?;
    let mut rows = rows(&by_towline, &by_script);
    rows.push(Row::new(
        format!("`towline run`, resident after these {ROUNDS} replacements"),
        format!("{resident:.1} MiB"),
        "",
    ));
    Ok(rows)
}

/// One replacement, seen from outside.
struct Swap {
    /// Seconds from the beginning to the new version's first answer.
    took: f64,
    /// The longest time between two good answers, of whichever version, in seconds.
    gap: f64,
}

fn rows(by_towline: &[Swap], by_script: &[Swap]) -> Vec<Row> {
    let took = |swaps: &[Swap]| -> Vec<f64> { swaps.iter().map(|swap| swap.took).collect() };
    let gaps = |swaps: &[Swap]| -> Vec<f64> { swaps.iter().map(|swap| swap.gap).collect() };
    let pairs = by_towline.iter().zip(by_script);
    let ratios: Vec<f64> = pairs
        .map(|(ours, theirs)| ours.took / theirs.took)
        .collect();
    let s = |values: &[f64]| spread(values, 2, " s");
    vec![
        Row::new("pick-up to new version, towline", s(&took(by_towline)), ""),
        Row::new("the same, by the script", s(&took(by_script)), ""),
        Row::new(
            "towline / script, pair by pair",
            spread(&ratios, 2, ""),
            "≤ 1.1",
        ),
        Row::new(
            "longest gap between answers, towline",
            s(&gaps(by_towline)),
            "",
        ),
        Row::new("the same, by the script", s(&gaps(by_script)), ""),
    ]
}

fn site(image: &str) -> Result<Web> {
    push(image, "v1", "ok")?;
    Web::start(image, "v1")
}

/// The image of this version, pushed, and visitors at the page.
fn ready(web: &Web, image: &str, number: u64) -> Result<Visitors> {
    push(image, &format!("v{number}"), "ok")?;
    thread::sleep(SETTLE);
    Visitors::come(web)
}

fn by_towline_once(towline: &mut Process, relay: &Relay, web: &Web, number: u64) -> Result<Swap> {
    let visitors = ready(web, "by-towline", number)?;
    let seen = towline.lines().len();
    let sha = format!("{number:040x}");
    let answer = Delivery::run(number, &sha)?.send(&relay.url, WEBHOOK_SECRET)?;
    ensure!(answer.status == 202, "the relay said {}", answer.body);
    let picked_up = towline.line_after(seen, PATIENCE, |line| line.contains("picked up"))?;
    let swap = visitors.leave_after(&format!("toy v{number}"), picked_up.at)?;
    towline.line_after(seen, PATIENCE, |line| line.contains("healthy"))?;
    until("the old container's end", PATIENCE, || {
        Ok((web.containers()?.len() == 1).then_some(()))
    })?;
    Ok(swap)
}

fn by_script_once(web: &Web, number: u64) -> Result<Swap> {
    let visitors = ready(web, "by-script", number)?;
    let tag = format!("v{number}");
    let mut script = Command::new("sh");
    script.args(["-c", SCRIPT, "script"]);
    script.args([&format!("{}:{tag}", web.repository), &web.name]);
    let begun = Instant::now();
    let ran = script.args(web.run_arguments(&tag)).output()?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "the script failed: {said}");
    visitors.leave_after(&format!("toy {tag}"), begun)
}

/// Those who ask for the page all the time.
struct Visitors {
    answers: Receiver<(Instant, String)>,
}

impl Visitors {
    fn come(web: &Web) -> Result<Self> {
        let address: SocketAddr = web.url.trim_start_matches("http://").parse()?;
        let (send, answers) = mpsc::channel();
        // They go when nobody listens to them any more.
        thread::spawn(move || visit(address, &send));
        let _ = answers
            .recv_timeout(PATIENCE)
            .context("the old version is silent")?;
        Ok(Self { answers })
    }

    /// Waits for the first answer that is `wanted`, and a moment longer.
    fn leave_after(self, wanted: &str, begun: Instant) -> Result<Swap> {
        let (mut times, mut first) = (Vec::new(), None);
        let mut deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                Ok((at, body)) => {
                    times.push(at);
                    if first.is_none() && body == wanted {
                        first = Some(at);
                        deadline = Instant::now() + SETTLE;
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => bail!("nobody asks any more"),
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        let first = first.with_context(|| format!("{wanted:?} never answered"))?;
        Ok(Swap {
            took: (first - begun).as_secs_f64(),
            gap: longest_gap(times).as_secs_f64(),
        })
    }
}

fn visit(address: SocketAddr, answers: &Sender<(Instant, String)>) {
    loop {
        let one = answers.clone();
        let asked = thread::spawn(move || match page(address) {
            Some(body) => one.send((Instant::now(), body)).is_ok(),
            None => true,
        });
        thread::sleep(EVERY);
        // A visitor that found nobody listening ends them all.
        if asked.is_finished() && matches!(asked.join(), Ok(false)) {
            return;
        }
    }
}

/// The page, when it comes with status 200 in time.
fn page(address: SocketAddr) -> Option<String> {
    let limit = Duration::from_millis(250);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    let request = b"GET / HTTP/1.1\r\nHost: toy\r\nConnection: close\r\n\r\n";
    stream.write_all(request).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200")
        .then(|| body.trim().to_owned())
}
