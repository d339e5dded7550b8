//! Deliveries a second and the time of each, beside Debian's `webhook` (adnanh/webhook), in turn.
//!
//! Both get the same signed 22 KB bodies over kept connections, from as many senders at once. They do not do the same:
//! `webhook` verifies and starts `/bin/true`, and has no queue; the relay commits an intent before it answers, and its
//! time has wrangler's proxy in it. Memory is the peak of each side's processes, workerd's for the relay.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use tempfile::TempDir;
use towline_tests::{
    child::Process,
    github::{Delivery, signature},
    proc::{descendants, memory_mib},
    relay::{Face, Relay, WEBHOOK_SECRET},
    wait::until,
};
use ureq::Agent;

use crate::{
    Row,
    numbers::{median, quantile, spread},
};

const ROUNDS: usize = 5;
const SENDERS: usize = 4;
/// Deliveries of each sender in a round.
const BURST: usize = 100;
const WARM_UP: usize = 25;

pub(crate) fn measure() -> Result<Vec<Row>> {
    let secrets = json!({ "WEBHOOK_SECRET": WEBHOOK_SECRET, "TOKEN_KEY": "-".repeat(32) });
    let relay = Relay::with(Face::Deployed, &secrets, &json!({ "gate": {} }))?;
    let peer = Peer::start()?;
    let mut ours = Contender::new(format!("{}/webhook/github", relay.url), 202);
    let mut theirs = Contender::new(peer.url.clone(), 200);
    let mut numbers = 0;
    let mut bodies = |count| {
        numbers += count as u64;
        let of = |number| Ok(serde_json::to_vec(&Delivery::large_run(number)?.body)?);
        (numbers - count as u64..numbers)
            .map(of)
            .collect::<Result<Vec<_>>>()
    };
    for contender in [&mut ours, &mut theirs] {
        contender.burst(&bodies(SENDERS * WARM_UP)?)?;
        contender.forget();
    }
    for _ in 0..ROUNDS {
        let bodies = bodies(SENDERS * BURST)?;
        ours.burst(&bodies)?;
        theirs.burst(&bodies)?;
    }
    let workerd = descendants(relay.process_id(), "workerd")?;
    let ours_mib = workerd.iter().map(|pid| memory_mib(*pid, "VmHWM"));
    let ours_mib: f64 = ours_mib.sum::<Result<f64>>()?;
    let mut rows = ours.rows("relay in workerd");
    rows.extend(theirs.rows("Debian's webhook 2.8"));
    let ratio = median(&ours.rates) / median(&theirs.rates);
    let ratio_row = Row::new(
        "relay / webhook, deliveries a second",
        format!("**{ratio:.2}**"),
        "",
    );
    rows.push(ratio_row);
    let peak = |mib: f64| format!("{mib:.1} MiB");
    rows.push(Row::new(
        "workerd, both processes, peak resident",
        peak(ours_mib),
        "",
    ));
    let theirs_mib = memory_mib(peer.process.id(), "VmHWM")?;
    rows.push(Row::new(
        "webhook, peak resident, without its commands",
        peak(theirs_mib),
        "",
    ));
    Ok(rows)
}

/// Debian's `webhook` with one hook, which verifies GitHub's signature and starts `/bin/true`.
struct Peer {
    url: String,
    process: Process,
    _hooks: TempDir,
}

impl Peer {
    fn start() -> Result<Self> {
        let hooks = tempfile::tempdir()?;
        let signed = json!({ "type": "payload-hmac-sha256", "secret": WEBHOOK_SECRET,
            "parameter": { "source": "header", "name": "X-Hub-Signature-256" } });
        let hook = json!([{ "id": "github", "execute-command": "/bin/true",
            "trigger-rule": { "match": signed }, "trigger-rule-mismatch-http-response-code": 403 }]);
        let file = hooks.path().join("hooks.json");
        std::fs::write(&file, hook.to_string())?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut command = Command::new("webhook");
        command.args(["-ip", "127.0.0.1", "-port", &port.to_string(), "-hooks"]);
        let process = Process::start("webhook", command.arg(&file))?;
        until("webhook's port", Duration::from_secs(10), || {
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())
        })?;
        Ok(Self {
            url: format!("http://127.0.0.1:{port}/hooks/github"),
            process,
            _hooks: hooks,
        })
    }
}

/// One side: where it listens, what it answers, and what was measured of it.
struct Contender {
    url: String,
    status: u16,
    agents: Vec<Agent>,
    rates: Vec<f64>,
    times_ms: Vec<f64>,
}

impl Contender {
    fn new(url: String, status: u16) -> Self {
        let agent = || Agent::config_builder().http_status_as_error(false).build();
        Self {
            url,
            status,
            agents: (0..SENDERS).map(|_| agent().into()).collect(),
            rates: Vec::new(),
            times_ms: Vec::new(),
        }
    }

    fn forget(&mut self) {
        self.rates.clear();
        self.times_ms.clear();
    }

    /// Sends each body once, by all senders at the same time. Signing is done before the clock starts.
    fn burst(&mut self, bodies: &[Vec<u8>]) -> Result<()> {
        let signed: Vec<_> = bodies
            .iter()
            .map(|body| (body, signature(WEBHOOK_SECRET, body)))
            .collect();
        let shares = signed.chunks(signed.len().div_ceil(SENDERS));
        let begun = Instant::now();
        let times = thread::scope(|scope| {
            let senders: Vec<_> = shares
                .zip(&self.agents)
                .map(|(share, agent)| {
                    let (url, status) = (&self.url, self.status);
                    scope.spawn(move || -> Result<Vec<f64>> {
                        let each = |(body, signature): &(&Vec<u8>, String)| {
                            send(agent, url, body, signature, status)
                        };
                        share.iter().map(each).collect()
                    })
                })
                .collect();
            let joined = senders.into_iter().map(|sender| {
                let ended = sender.join();
                ended.map_err(|_| anyhow!("a sender panicked")).flatten()
            });
            joined.collect::<Result<Vec<_>>>()
        })?;
        self.rates
            .push(bodies.len() as f64 / begun.elapsed().as_secs_f64());
        self.times_ms.extend(times.into_iter().flatten());
        Ok(())
    }

    fn rows(&self, name: &str) -> Vec<Row> {
        let at = |part| {
            format!(
                "**{:.1} ms**, n = {}",
                quantile(&self.times_ms, part),
                self.times_ms.len()
            )
        };
        vec![
            Row::new(
                format!("signed 22 KB deliveries a second, {name}"),
                spread(&self.rates, 0, "/s"),
                "",
            ),
            Row::new(
                format!("the same, time of one with {SENDERS} at once, p50"),
                at(0.5),
                "",
            ),
            Row::new("the same, p99", at(0.99), ""),
        ]
    }
}

/// Milliseconds until the answer was there.
fn send(agent: &Agent, url: &str, body: &[u8], signature: &str, status: u16) -> Result<f64> {
    let begun = Instant::now();
    let post = agent
        .post(url)
        .header("Content-Type", "application/json")
        .header("User-Agent", "GitHub-Hookshot/044aadd")
        .header("X-GitHub-Event", "workflow_run")
        .header("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header("X-Hub-Signature-256", signature);
    let mut response = post.send(body)?;
    let said = response.body_mut().read_to_string().context("the answer")?;
    let took = begun.elapsed();
    let got = response.status().as_u16();
    ensure!(got == status, "{url} answered {got}: {said}");
    Ok(took.as_secs_f64() * 1000.0)
}
