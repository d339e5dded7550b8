//! A thousand hosts on one hub: each intent comes to each of them once, how soon, and at what cost.
//!
//! Real WebSockets to the real Worker, all in this process, through wrangler's proxy like everything else here. The clock
//! of an intent starts when its delivery is sent: most rings come before the 202 does, which the hub sends after them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use towline_protocol::Role;
use towline_tests::{
    doorbell::Doorbell,
    github::Delivery,
    proc::{descendants, memory_mib},
    relay::{Face, Relay, WEBHOOK_SECRET, token},
    wait::until,
};

use crate::{Row, numbers::quantile};

const HOSTS: usize = 1000;
const INTENTS: usize = 100;
/// How many connect at the same time.
const CONNECTING: usize = 20;
/// Between two deliveries.
const PACE: Duration = Duration::from_millis(500);
const CHANNEL: &str = "octo-org/web";
const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn measure() -> Result<Vec<Row>> {
    // Sockets of ours and of wrangler's, which inherits the limit.
    raise_open_files(8 * HOSTS as u64)?;
    let relay = Relay::start(Face::Counted, &json!({}))?;
    let heard = AtomicUsize::new(0);
    let (sent_at, rung) = thread::scope(|scope| {
        let hosts = connect(&relay)?;
        let hosts: Vec<_> = hosts
            .into_iter()
            .map(|mut host| {
                let heard = &heard;
                scope.spawn(move || listen(&mut host, heard))
            })
            .collect();
        let sent_at = deliver(&relay, &heard);
        let rung = hosts.into_iter().map(|host| {
            let ended = host.join();
            ended.map_err(|_| anyhow!("a host panicked")).flatten()
        });
        anyhow::Ok((sent_at?, rung.collect::<Result<Vec<_>>>()?))
    })?;
    let ms = |from: &Instant, to: &Instant| to.duration_since(*from).as_secs_f64() * 1000.0;
    let answers_ms: Vec<_> = sent_at.iter().map(|(sent, done)| ms(sent, done)).collect();
    let mut times_ms = Vec::new();
    for host in &rung {
        let numbers: Vec<_> = host.iter().map(|(number, _)| *number).collect();
        let expected: Vec<_> = (1..=INTENTS as u64 + 1).collect();
        ensure!(numbers == expected, "a host heard {numbers:?}");
        let times = host.iter().skip(1).zip(&sent_at);
        times_ms.extend(times.map(|((_, rung), (sent, _))| ms(sent, rung)));
    }
    rows(&relay, &times_ms, &answers_ms)
}

fn rows(relay: &Relay, times_ms: &[f64], answers_ms: &[f64]) -> Result<Vec<Row>> {
    let at =
        |times: &[f64], part| format!("**{:.0} ms**, n = {}", quantile(times, part), times.len());
    let writes = relay.counts()?["kv_writes"].as_u64().context("kv_writes")?;
    let workerd = descendants(relay.process_id(), "workerd")?;
    let peak = workerd.iter().map(|pid| memory_mib(*pid, "VmHWM"));
    let peak: f64 = peak.sum::<Result<f64>>()?;
    let what =
        format!("from a delivery's first byte to the ring, {HOSTS} hosts on one channel, p50");
    let aim = "once at each host";
    Ok(vec![
        Row::new(what, at(times_ms, 0.5), aim),
        Row::new("the same, p99", at(times_ms, 0.99), ""),
        Row::new(
            "to the 202 of those deliveries, p50",
            at(answers_ms, 0.5),
            "",
        ),
        Row::new(
            format!("KV writes for {INTENTS} intents to {HOSTS} hosts"),
            format!("**{writes}**"),
            "≤ 1 an intent",
        ),
        Row::new(
            format!("workerd with {HOSTS} doorbells, both processes, peak resident"),
            format!("{peak:.0} MiB"),
            "",
        ),
    ])
}

fn raise_open_files(wanted: u64) -> Result<()> {
    let now = getrlimit(Resource::Nofile);
    let enough = now.current.is_none_or(|current| current >= wanted);
    if enough {
        return Ok(());
    }
    let limit = Rlimit {
        current: Some(wanted),
        maximum: now.maximum.map(|most| most.max(wanted)),
    };
    setrlimit(Resource::Nofile, limit)
        .with_context(|| format!("{wanted} open files; see `ulimit -Hn`"))
}

/// Connects all hosts, each with a token of its own.
fn connect(relay: &Relay) -> Result<Vec<Doorbell>> {
    let numbers: Vec<_> = (0..HOSTS).collect();
    let marks = json!({ CHANNEL: "0.0" });
    thread::scope(|scope| {
        let groups: Vec<_> = numbers
            .chunks(HOSTS.div_ceil(CONNECTING))
            .map(|group| {
                let marks = &marks;
                scope.spawn(move || {
                    let greet = |number: &usize| {
                        let token = token(Role::Host, &format!("h{number}"), &["octo-org/*"])?;
                        Doorbell::greet(relay, &token, marks)
                    };
                    group.iter().map(greet).collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        let joined = groups.into_iter().map(|group| {
            let ended = group.join();
            ended.map_err(|_| anyhow!("connecting panicked")).flatten()
        });
        let hosts: Vec<_> = joined.collect::<Result<Vec<_>>>()?;
        Ok(hosts.into_iter().flatten().collect())
    })
}

/// Hears all intents; their numbers and when each came.
fn listen(host: &mut Doorbell, heard: &AtomicUsize) -> Result<Vec<(u64, Instant)>> {
    let mut rung = Vec::new();
    while rung.len() <= INTENTS {
        let (_, number) = host.ring()?;
        rung.push((number, Instant::now()));
        heard.fetch_add(1, Ordering::SeqCst);
    }
    Ok(rung)
}

/// Sends the deliveries; returns when each was sent and when it was accepted. The first is for warming up: nothing else is
/// sent before all hosts have heard it.
fn deliver(relay: &Relay, heard: &AtomicUsize) -> Result<Vec<(Instant, Instant)>> {
    let send = |number| {
        let begun = Instant::now();
        let answer = Delivery::run(number, SHA)?.send(&relay.url, WEBHOOK_SECRET)?;
        ensure!(answer.status == 202, "{}: {}", answer.status, answer.body);
        anyhow::Ok((begun, Instant::now()))
    };
    send(1)?;
    until("the first ring at every host", PATIENCE, || {
        Ok((heard.load(Ordering::SeqCst) >= HOSTS).then_some(()))
    })?;
    relay.reset_counts()?;
    let mut times = Vec::new();
    for number in 2..=INTENTS as u64 + 1 {
        let (begun, done) = send(number)?;
        times.push((begun, done));
        thread::sleep(PACE.saturating_sub(begun.elapsed()));
    }
    until("the last ring at every host", PATIENCE, || {
        Ok((heard.load(Ordering::SeqCst) >= HOSTS * (INTENTS + 1)).then_some(()))
    })?;
    Ok(times)
}
