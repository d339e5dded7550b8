//! CPU time of the relay for one delivery.
//!
//! workerd's own time, user and system, is read before and after small blocks of requests, the kinds in turn, on a kept
//! connection, one after another. What the same number of `/health` requests took in the same round is subtracted:
//! routing, HTTP and wrangler's proxy. Kinds that stop earlier than others tell what each part costs.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use towline_tests::{
    github::{Delivery, signature},
    proc::{cpu_ms, descendants},
    relay::{Face, Relay, WEBHOOK_SECRET},
};
use ureq::Agent;

use crate::{
    Row,
    numbers::{median, spread},
};

const ROUNDS: u64 = 5;
/// In a round the kinds take turns so often, so that what else the machine does falls on all of them.
const BLOCKS: usize = 10;
const BLOCK: usize = 40;
const WARM_UP: usize = 100;

/// What is sent, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `GET /health`.
    Health,
    /// A form instead of JSON, without a body: refused by its head, and logged.
    FormOfNothing,
    /// The whole delivery said to be a form: refused by its head, and logged; the body is not read.
    Form,
    /// The whole delivery under a wrong signature: read, hashed, refused and logged.
    Forged,
    /// The whole delivery of a run that failed: read, hashed, parsed, ignored by the gate and logged.
    Ignored,
    /// The whole delivery of a run that succeeded: all of it, and the hub.
    Queued,
}

const KINDS: [(Kind, &str, &str); 5] = [
    (
        Kind::FormOfNothing,
        "refused by its head, no body: a log line",
        "",
    ),
    (
        Kind::Form,
        "the same, with the body sent and left unread",
        "",
    ),
    (Kind::Forged, "wrong signature: read and hashed too", ""),
    (
        Kind::Ignored,
        "**ignored: read, hashed, parsed, judged, logged**",
        "< 1 ms",
    ),
    (
        Kind::Queued,
        "queued: the hub too, with the simulators of SQLite and KV",
        "",
    ),
];

pub(crate) fn measure() -> Result<Vec<Row>> {
    // One secret, as outside of a rotation: one HMAC a delivery.
    let secrets = json!({ "WEBHOOK_SECRET": WEBHOOK_SECRET, "TOKEN_KEY": "-".repeat(32) });
    // The deployed one limits failures.
    let relay = Relay::with(Face::Counted, &secrets, &json!({ "gate": {} }))?;
    let client = Client::new(&relay)?;
    let kinds = std::iter::once(Kind::Health).chain(KINDS.map(|(kind, ..)| kind));
    let mut spent: Vec<Spent> = kinds.map(Spent::new).collect();
    let mut numbers = 0_u64..;
    for kind in &spent {
        client.send_many(kind.kind, numbers.by_ref().take(WARM_UP))?;
    }
    for _ in 0..ROUNDS {
        for kind in &mut spent {
            kind.rounds.push(vec![0.0; client.workerd.len()]);
        }
        for _ in 0..BLOCKS {
            for kind in &mut spent {
                kind.add(&client, numbers.by_ref().take(BLOCK))?;
            }
        }
    }
    Ok(rows(&spent, client.ignored.len()))
}

/// What one kind took: for each round and each workerd, in milliseconds.
struct Spent {
    kind: Kind,
    rounds: Vec<Vec<f64>>,
}

impl Spent {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            rounds: Vec::new(),
        }
    }

    fn add(&mut self, client: &Client, numbers: impl Iterator<Item = u64>) -> Result<()> {
        let before = client.cpu()?;
        client.send_many(self.kind, numbers)?;
        let after = client.cpu()?;
        let Some(round) = self.rounds.last_mut() else {
            return Ok(());
        };
        for (sum, (after, before)) in round.iter_mut().zip(after.iter().zip(before)) {
            *sum += after - before;
        }
        Ok(())
    }

    /// Milliseconds a request, for each round; of one workerd or of all.
    fn each(&self, workerd: Option<usize>) -> Vec<f64> {
        let requests = f64::from(u32::try_from(BLOCKS * BLOCK).unwrap_or(u32::MAX));
        let times = self.rounds.iter().map(|round| match workerd {
            Some(at) => round[at],
            None => round.iter().sum(),
        });
        times.map(|time| time / requests).collect()
    }
}

fn rows(spent: &[Spent], bytes: usize) -> Vec<Row> {
    let each = |kind, workerd| -> Vec<f64> {
        let found = spent.iter().find(|spent| spent.kind == kind);
        found.map_or_else(Vec::new, |spent| spent.each(workerd))
    };
    let over = |kind, base, workerd| -> Vec<f64> {
        let (times, base) = (each(kind, workerd), each(base, workerd));
        times
            .iter()
            .zip(base)
            .map(|(time, base)| time - base)
            .collect()
    };
    // The other one is wrangler's proxy, which does the same for every kind.
    let worker = (0..spent[0].rounds[0].len()).max_by(|a, b| {
        let extra = |at: &usize| median(&over(Kind::Ignored, Kind::Health, Some(*at)));
        extra(a).total_cmp(&extra(b))
    });
    let ms = |values: Vec<f64>| spread(&values, 2, " ms");
    let mut rows: Vec<Row> = KINDS
        .iter()
        .map(|(kind, what, aim)| {
            let measured = ms(over(*kind, Kind::Health, None));
            Row::new(format!("relay CPU, {what}"), measured, aim)
        })
        .collect();
    rows.push(Row::new(
        "relay CPU, ignored, in the Worker's own workerd alone",
        ms(over(Kind::Ignored, Kind::Health, worker)),
        "",
    ));
    rows.push(Row::new(
        format!("of which reading, hashing, parsing and judging {bytes} bytes"),
        ms(over(Kind::Ignored, Kind::Form, worker)),
        "",
    ));
    let what = "`/health`, subtracted above";
    rows.push(Row::new(what, ms(each(Kind::Health, None)), ""));
    rows
}

struct Client {
    agent: Agent,
    url: String,
    workerd: Vec<u32>,
    ignored: Vec<u8>,
}

impl Client {
    fn new(relay: &Relay) -> Result<Self> {
        let workerd = descendants(relay.process_id(), "workerd")?;
        ensure!(!workerd.is_empty(), "the relay runs no workerd");
        let config = Agent::config_builder().http_status_as_error(false);
        let mut ignored = Delivery::large_run(0)?.body;
        ignored["workflow_run"]["conclusion"] = json!("failure");
        Ok(Self {
            agent: config.build().into(),
            url: relay.url.clone(),
            workerd,
            ignored: serde_json::to_vec(&ignored)?,
        })
    }

    fn send_many(&self, kind: Kind, mut numbers: impl Iterator<Item = u64>) -> Result<()> {
        numbers.try_for_each(|number| self.send(kind, number))
    }

    /// Milliseconds so far, for each workerd.
    fn cpu(&self) -> Result<Vec<f64>> {
        self.workerd.iter().map(|pid| cpu_ms(*pid)).collect()
    }

    fn body(&self, kind: Kind, number: u64) -> Result<Vec<u8>> {
        Ok(match kind {
            Kind::Health | Kind::FormOfNothing => Vec::new(),
            Kind::Form | Kind::Forged | Kind::Ignored => self.ignored.clone(),
            Kind::Queued => serde_json::to_vec(&Delivery::large_run(number)?.body)?,
        })
    }

    fn send(&self, kind: Kind, number: u64) -> Result<()> {
        let body = self.body(kind, number)?;
        let (content_type, secret, expected) = match kind {
            Kind::Health => ("", "", 200),
            Kind::FormOfNothing | Kind::Form => {
                ("application/x-www-form-urlencoded", WEBHOOK_SECRET, 415)
            }
            Kind::Forged => ("application/json", "another secret", 401),
            Kind::Ignored => ("application/json", WEBHOOK_SECRET, 200),
            Kind::Queued => ("application/json", WEBHOOK_SECRET, 202),
        };
        let mut response = if kind == Kind::Health {
            self.agent.get(format!("{}/health", self.url)).call()?
        } else {
            let post = self.agent.post(format!("{}/webhook/github", self.url));
            post.header("Content-Type", content_type)
                .header("User-Agent", "GitHub-Hookshot/044aadd")
                .header("X-GitHub-Event", "workflow_run")
                .header("X-GitHub-Delivery", format!("72d3162e-{number:012}"))
                .header("X-Hub-Signature-256", signature(secret, &body))
                .send(&body)?
        };
        let status = response.status().as_u16();
        let said = response.body_mut().read_to_string().context("the answer")?;
        ensure!(status == expected, "{kind:?} got {status}: {said}");
        Ok(())
    }
}
