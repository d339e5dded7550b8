//! The model's scenario, shorter, on the real Worker: `tests/tests/model` searches, this shows that the parts that are
//! played there behave so here. Deliveries come again and at once, the hub is dropped, puts fail and are slow, two
//! places answer from caches, and two hosts read with the poller's own [`towline::mailbox`].

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Result, bail, ensure};
use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};
use towline::mailbox::{brings_anything, read};
use towline_protocol::{Channel, ChannelNews, Intent, MAILBOX_WINDOW, Mark, Polled, Role};
use towline_tests::{
    doorbell::Doorbell,
    relay::{Relay, WEBHOOK_SECRET, token},
    wait::until,
};

use super::{mailbox, relay, run};

const CHANNEL: &str = "octo-org/adverse";

/// How long a place answers from its cache.
const STALE: Duration = Duration::from_millis(1500);

const STEPS: usize = 80;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// So many runs arrive at once, from this one on; some may have come before.
    Deliver {
        from: u64,
        count: u64,
    },
    /// A host polls from a place, and asks the hub for what is missing, or not yet.
    Poll {
        host: usize,
        place: &'static str,
        patient: bool,
    },
    /// A host connects, with a hello that may be its second.
    Connect {
        host: usize,
    },
    /// A host loses its connection.
    Disconnect {
        host: usize,
    },
    Evict,
    FailPuts {
        times: u32,
    },
    SlowPuts {
        ms: u64,
    },
    Pass {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let host = || 0usize..2;
    let place = prop_oneof![Just("here"), Just("there")];
    prop_oneof![
        6 => (1u64..120).prop_map(|from| Step::Deliver { from, count: 1 }),
        4 => (1u64..120, 2u64..24).prop_map(|(from, count)| Step::Deliver { from, count }),
        5 => (host(), place, proptest::bool::weighted(0.7))
            .prop_map(|(host, place, patient)| Step::Poll { host, place, patient }),
        2 => host().prop_map(|host| Step::Connect { host }),
        4 => host().prop_map(|host| Step::Disconnect { host }),
        3 => Just(Step::Evict),
        2 => (1u32..3).prop_map(|times| Step::FailPuts { times }),
        2 => prop_oneof![Just(0u64), Just(700u64)].prop_map(|ms| Step::SlowPuts { ms }),
        6 => (0u64..400).prop_map(|ms| Step::Pass { ms }),
    ]
}

/// A host, as far as it reads.
#[derive(Default)]
struct Host {
    mark: Option<Mark>,
    known: Vec<Intent>,
    bell: Option<Doorbell>,
}

impl Host {
    fn mark(&self) -> Mark {
        self.mark.unwrap_or_default()
    }

    /// Takes in what an answer says, and says whether something is missing.
    fn take_in(&mut self, news: ChannelNews) -> Result<bool> {
        if !brings_anything(self.mark, &news) {
            return Ok(false);
        }
        let channel: Channel = CHANNEL.parse()?;
        let reading = read(&channel, self.mark, &self.known, news, &BTreeSet::new());
        ensure!(
            Some(reading.mark) >= self.mark,
            "{:?} went back to {}",
            self.mark,
            reading.mark
        );
        self.mark = Some(reading.mark);
        for intent in reading.received {
            let twice = self.known.iter().any(|known| known.id == intent.id);
            ensure!(!twice, "{} was taken twice", intent.id);
            self.known.push(intent);
        }
        self.known.sort_by_key(|intent| (intent.epoch, intent.seq));
        Ok(reading.gap)
    }

    fn poll(&mut self, relay: &Relay, place: &str, more: &str) -> Result<bool> {
        let token = token(Role::Host, "pi", &["octo-org/*"])?;
        let path = format!("/v1/intents?channel={CHANNEL}@{}{more}", self.mark());
        let answer = relay.get_from(place, &path, &token)?;
        ensure!(answer.status == 200, "{}", answer.body);
        let polled: Polled = serde_json::from_str(&answer.body)?;
        polled
            .channels
            .into_values()
            .try_fold(false, |gap, news| Ok(gap | self.take_in(news)?))
    }

    fn fill(&mut self, relay: &Relay) -> Result<()> {
        ensure!(
            !self.poll(relay, "here", "&fresh=1")?,
            "the hub has left a gap"
        );
        Ok(())
    }

    fn connect(&mut self, relay: &Relay, name: &str) -> Result<()> {
        let token = token(Role::Host, name, &["octo-org/*"])?;
        let mark = self.mark().to_string();
        self.bell = Some(Doorbell::greet(relay, &token, &json!({ CHANNEL: mark }))?);
        Ok(())
    }

    /// Takes in what has been rung, if it listens: each ring is an answer of one intent. A hello is answered by a limited
    /// number of rings, so that there may be a gap before them.
    fn listen(&mut self, relay: &Relay) -> Result<()> {
        let Some(bell) = &mut self.bell else {
            return Ok(());
        };
        let mut gap = false;
        for frame in bell.frames()? {
            let intent: Intent = serde_json::from_value(frame["intent"].clone())?;
            gap = self.take_in(ChannelNews {
                epoch: intent.epoch,
                head: intent.seq,
                pruned_before: 0,
                intents: vec![intent],
            })?;
        }
        if gap { self.fill(relay) } else { Ok(()) }
    }

    fn lacks<'a>(&self, accepted: &'a Accepted) -> Vec<&'a (String, u64)> {
        let knows = |id: &str| self.known.iter().any(|intent| intent.id.as_str() == id);
        accepted.values().filter(|(id, _)| !knows(id)).collect()
    }
}

/// What was accepted: by run, the intent's id and number.
type Accepted = BTreeMap<u64, (String, u64)>;

/// Sends the runs at once; each must be accepted, as the same intent whenever it comes.
fn deliver(relay: &Relay, runs: std::ops::Range<u64>, accepted: &mut Accepted) -> Result<()> {
    let url = relay.url.as_str();
    let answers: Vec<_> = thread::scope(|scope| {
        let send = |number| scope.spawn(move || run(CHANNEL, number)?.send(url, WEBHOOK_SECRET));
        let sends: Vec<_> = runs.clone().map(send).collect();
        sends
            .into_iter()
            .map(|send| send.join().unwrap_or_else(|_| bail!("a panic")))
            .collect()
    });
    for (number, answer) in runs.zip(answers) {
        let answer = answer?;
        let said = answer.json()?;
        let id = said["intent"].as_str().unwrap_or_default().to_owned();
        let same = (id, said["seq"].as_u64().unwrap_or_default());
        let status = if accepted.contains_key(&number) {
            200
        } else {
            202
        };
        ensure!(
            answer.status == status,
            "{number}: {} {said}",
            answer.status
        );
        let before = accepted.entry(number).or_insert_with(|| same.clone());
        ensure!(*before == same, "{number}: {before:?}, then {same:?}");
    }
    Ok(())
}

fn now_ms() -> Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(since.as_millis().try_into()?)
}

/// One put at a time, a second after the last one's end, unless a new hub could not know. And the world was adverse.
fn assert_paced(relay: &Relay, evicted: &[u64]) -> Result<()> {
    let counts = relay.counts()?;
    let puts = counts["puts"].as_array().into_iter().flatten();
    let key = format!("c/{CHANNEL}");
    let puts: Vec<&Value> = puts.filter(|put| put["key"] == key).collect();
    for pair in puts.windows(2) {
        let (began, next) = (pair[0]["at_ms"].as_u64(), pair[1]["at_ms"].as_u64());
        let forgot = |at: &u64| Some(*at) >= began && Some(*at) <= next;
        let done = pair[0]["done_ms"].as_u64().map(|done| done + 1000);
        let paced = done.is_some() && next >= done;
        ensure!(paced || evicted.iter().any(forgot), "{pair:?}");
    }
    let failed = puts.iter().filter(|put| put["ok"] == false).count();
    ensure!(failed > 0 && evicted.len() > 1, "{failed}, {evicted:?}");
    Ok(())
}

#[test]
fn in_an_adverse_world_every_accepted_intent_reaches_both_hosts_once() -> Result<()> {
    let relay = relay()?;
    relay.adverse(STALE)?;
    let steps = vec(step(), STEPS).new_tree(&mut TestRunner::deterministic());
    let steps = steps.map_err(anyhow::Error::msg)?.current();
    let mut hosts = [Host::default(), Host::default()];
    let (mut accepted, mut evicted) = (Accepted::new(), Vec::new());
    // From their first answer on they listen.
    for host in &mut hosts {
        host.poll(&relay, "here", "")?;
    }
    for step in steps {
        match step {
            Step::Deliver { from, count } => deliver(&relay, from..from + count, &mut accepted)?,
            Step::Poll {
                host,
                place,
                patient,
            } => {
                if hosts[host].poll(&relay, place, "")? && !patient {
                    hosts[host].fill(&relay)?;
                }
            }
            Step::Connect { host } => hosts[host].connect(&relay, &format!("host-{host}"))?,
            Step::Disconnect { host } => hosts[host].bell = None,
            Step::Evict => {
                // It may be out of memory already.
                Host::default().fill(&relay)?;
                relay.evict_hub()?;
                evicted.push(now_ms()?);
            }
            Step::FailPuts { times } => relay.fail("put", times)?,
            Step::SlowPuts { ms } => relay.slow(ms)?,
            Step::Pass { ms } => thread::sleep(Duration::from_millis(ms)),
        }
        for host in &mut hosts {
            host.listen(&relay)?;
            let lacks = host.lacks(&accepted);
            ensure!(
                host.bell.is_none() || lacks.is_empty(),
                "not rung: {lacks:?}"
            );
        }
    }
    relay.slow(0)?;
    relay.fail("put", 0)?;
    ensure!(accepted.len() > MAILBOX_WINDOW, "{accepted:?}");
    mailbox(&relay, CHANNEL, accepted.len() as u64)?;
    for (host, place) in hosts.iter_mut().zip(["here", "there"]) {
        until("the last one in this place", 3 * STALE, || {
            let gap = host.poll(&relay, place, "")?;
            if gap {
                host.fill(&relay)?;
            }
            Ok((host.mark().seq == accepted.len() as u64).then_some(()))
        })?;
        ensure!(
            host.lacks(&accepted).is_empty(),
            "{:?}",
            host.lacks(&accepted)
        );
    }
    assert_paced(&relay, &evicted)
}
