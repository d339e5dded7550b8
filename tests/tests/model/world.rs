//! The clock, the order of what happens, and what goes wrong.

use std::collections::BTreeMap;

use jiff::Timestamp;
use towline_protocol::{ChannelNews, Intent, IntentId, Mailbox, Mark};
use towline_relay::{hub::ask::Committed, pace::Event};

use super::{
    delivery::Cause,
    host::Host,
    hub::Hub,
    kv::Kv,
    mutant::Mutant,
    property::{Broken, IN_TIME_MS, POLL_MS, Property},
    puts::Put,
    step::{Fate, Point, Step, Steps},
};

/// The channels; hosts listen to both.
pub(super) const CHANNELS: [&str; 2] = ["octo-org/web", "octo-org/api"];

/// When a play begins, in milliseconds since 1970.
const BEGIN_MS: u64 = 1_795_186_000_000;

/// How long a message takes.
pub(super) const LATENCY_MS: u64 = 40;

/// How long a dead socket is not noticed: a ping, and the wait for its pong.
const DEAD_MS: u64 = 75_000;

/// How long after an intent the hub's comparison with KV begins to prove something.
const SETTLED_MS: u64 = 600_000;

/// An intent that was accepted.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) channel: usize,
    /// In which of the hub's storages it was last.
    pub(super) storage: u32,
    /// Whether a hub has forgotten it.
    pub(super) pruned: bool,
}

/// What happens later.
#[derive(Clone, Debug)]
pub(super) enum Later {
    /// A delivery has read KV and goes on.
    Commit {
        cause: Cause,
        left_behind: Option<u64>,
        life: u32,
    },
    Rested {
        channel: usize,
        life: u32,
    },
    PutLands {
        put: usize,
    },
    PutEnds {
        put: usize,
    },
    PutTimesOut {
        put: usize,
    },
    Answer {
        host: usize,
        life: u32,
        channel: usize,
        news: ChannelNews,
        fresh: bool,
    },
    AskHub {
        host: usize,
        life: u32,
        channel: usize,
    },
    Hello {
        host: usize,
        socket: u32,
        marks: [Mark; CHANNELS.len()],
    },
    Greet {
        host: usize,
        socket: u32,
    },
    Ring {
        host: usize,
        socket: u32,
        intent: Box<Intent>,
    },
    CheckRing {
        host: usize,
        socket: u32,
        channel: usize,
        id: IntentId,
    },
    NoticeDead {
        host: usize,
        socket: u32,
    },
}

/// All that there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: u64,
    later: BTreeMap<(u64, u64), Later>,
    order: u64,
    pub(super) kv: Kv,
    pub(super) hub: Hub,
    pub(super) hosts: [Host; 2],
    pub(super) puts: Vec<Put>,
    pub(super) fates: Vec<Fate>,
    /// What a mutant puts.
    pub(super) stale: [Option<Mailbox>; CHANNELS.len()],
    /// Whether only the hourly cron can put things right: a put outlived the hub that made it, or an alarm was lost.
    pub(super) doubtful: bool,
    pub(super) mutant: Option<Mutant>,
    pub(super) accepted: BTreeMap<IntentId, Accepted>,
    pub(super) answers: BTreeMap<(u32, u32), Committed>,
    pub(super) numbers: [(u64, u64); CHANNELS.len()],
    pub(super) deliveries: u64,
    next_cause: u32,
    left_behind: bool,
    pub(super) broken: Broken,
}

/// Plays the steps, then lets the world be good, and says what was broken.
pub(super) fn play(play: &Steps, mutant: Option<Mutant>) -> Broken {
    let mut world = World::new(play.left_behind, mutant);
    for host in 0..world.hosts.len() {
        world.poll(host, 0, 0, 0);
    }
    // From their first answer on they listen.
    world.pass(1);
    for step in &play.steps {
        world.step(step);
    }
    world.settle();
    world.broken
}

impl World {
    fn new(left_behind: bool, mutant: Option<Mutant>) -> Self {
        let mut kv = Kv::default();
        if left_behind {
            for channel in 0..CHANNELS.len() {
                kv.write(channel, left().into(), BEGIN_MS - 3_600_000);
            }
        }
        Self {
            now: BEGIN_MS,
            later: BTreeMap::new(),
            order: 0,
            kv,
            hub: Hub::new(0, BEGIN_MS),
            hosts: Default::default(),
            puts: Vec::new(),
            fates: Vec::new(),
            stale: Default::default(),
            doubtful: false,
            mutant,
            accepted: BTreeMap::new(),
            answers: BTreeMap::new(),
            numbers: [(0, 0); CHANNELS.len()],
            deliveries: 0,
            next_cause: 1_000,
            left_behind,
            broken: Broken::new(),
        }
    }

    /// Whether this is the mistake that is made.
    pub(super) fn makes(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    pub(super) fn timestamp(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now.try_into().unwrap()).unwrap()
    }

    pub(super) fn after(&mut self, ms: u64, later: Later) {
        self.order += 1;
        self.later.insert((self.now + ms, self.order), later);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Deliver { cause } => self.deliver(*cause, *cause as usize % CHANNELS.len()),
            Step::Burst { channel, count } => {
                for _ in 0..*count {
                    self.next_cause += 1;
                    self.deliver(self.next_cause, *channel);
                }
            }
            Step::Pass { ms } => self.pass(*ms),
            Step::Poll {
                host,
                place,
                keep_ms,
                after_ms,
            } => {
                self.poll(*host, *place, *keep_ms, *after_ms);
            }
            Step::NextPut(fate) => self.fates.push(*fate),
            Step::SqlFails { after } => self.hub.sql.fail_after(*after),
            Step::AlarmFails => self.hub.alarm_fails = true,
            Step::LoseAlarm => {
                self.doubtful |= self.hub.alarm_at.take().is_some();
            }
            Step::Evict => self.evict(),
            Step::LoseStorage => self.lose_storage(),
            Step::Prune => self.prune(),
            Step::Cron => self.cron(),
            Step::Connect { host } => self.connect(*host),
            Step::Disconnect { host } => self.disconnect(*host),
            Step::Mute { host } => self.mute(*host),
            Step::Crash {
                host,
                at: Point::Now,
            } => self.crash(*host),
            Step::Crash { host, at } => self.hosts[*host].dies = Some(*at),
        }
    }

    /// Lets time pass, and what falls into it happen in order.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            let next = self
                .later
                .keys()
                .next()
                .map(|(at, _)| *at)
                .filter(|at| *at <= end);
            let alarm = self.hub.alarm_at.filter(|at| *at <= end);
            match (next, alarm) {
                (Some(at), alarm) if alarm.is_none_or(|alarm| at <= alarm) => {
                    self.now = self.now.max(at);
                    if let Some((_, later)) = self.later.pop_first() {
                        self.happen(later);
                    }
                }
                (_, Some(at)) => {
                    self.now = self.now.max(at);
                    self.alarm();
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn happen(&mut self, later: Later) {
        match later {
            Later::Commit {
                cause,
                left_behind,
                life,
            } => {
                if life == self.hub.life {
                    self.begin_channel(cause, left_behind);
                }
            }
            Later::Rested { channel, life } => {
                if life == self.hub.life {
                    self.act(channel, Event::Rested);
                }
            }
            Later::PutLands { put } => self.put_lands(put),
            Later::PutEnds { put } => self.put_ends(put),
            Later::PutTimesOut { put } => self.put_times_out(put),
            Later::Answer {
                host,
                life,
                channel,
                news,
                fresh,
            } => {
                if life == self.hosts[host].life {
                    self.take_in(host, channel, news, fresh);
                }
            }
            Later::AskHub {
                host,
                life,
                channel,
            } => {
                if life == self.hosts[host].life {
                    self.ask_hub(host, channel);
                }
            }
            Later::Hello {
                host,
                socket,
                marks,
            } => self.hello(host, socket, marks),
            Later::Greet { host, socket } => self.greet(host, socket),
            Later::Ring {
                host,
                socket,
                intent,
            } => self.rung(host, socket, *intent),
            Later::CheckRing {
                host,
                socket,
                channel,
                id,
            } => self.check_ring(host, socket, channel, &id),
            Later::NoticeDead { host, socket } => {
                if self.hosts[host]
                    .socket
                    .is_some_and(|own| own.number == socket)
                {
                    self.disconnect(host);
                }
            }
        }
    }

    /// The hub is dropped from memory: what it was doing is not done, what it had sent may still land.
    fn evict(&mut self) {
        self.doubtful |= self.hub.is_putting(&self.puts);
        self.hub.restart(self.now);
    }

    /// A new hub, without any memory. Where an epoch was ahead of the clock, only KV knows how far: a hub that is lost
    /// before KV does is not searched.
    fn lose_storage(&mut self) {
        if self.left_behind {
            return;
        }
        self.now += 1;
        self.doubtful |= self.hub.is_putting(&self.puts);
        self.hub = Hub::new(self.hub.storage + 1, self.now);
        for host in 0..self.hosts.len() {
            self.disconnect(host);
        }
    }

    fn mute(&mut self, host: usize) {
        if let Some(socket) = &mut self.hosts[host].socket {
            socket.lives = false;
            let socket = socket.number;
            self.after(DEAD_MS, Later::NoticeDead { host, socket });
        }
    }

    /// Nothing goes wrong any more. What was accepted arrives in time, and after the next cron anyway.
    fn settle(&mut self) {
        self.fates.clear();
        self.hub.sql.work();
        self.hub.alarm_fails = false;
        for host in 0..self.hosts.len() {
            self.disconnect(host);
            self.hosts[host].dies = None;
        }
        let is_put =
            |later: &Later| matches!(later, Later::PutLands { .. } | Later::PutEnds { .. });
        let puts = self.later.iter().filter(|(_, later)| is_put(later));
        let last_put = puts.map(|((at, _), _)| *at).max();
        self.pass(last_put.map_or(0, |at| at.saturating_sub(self.now)));
        if self.doubtful {
            // The comparison proves nothing before.
            self.pass(SETTLED_MS);
            self.cron();
        }
        self.poll_for(IN_TIME_MS);
        self.check_arrived(Property::InTime);
        if self.broken.contains_key(&Property::InTime) {
            self.pass(SETTLED_MS);
            self.cron();
            self.poll_for(IN_TIME_MS);
        }
        self.check_arrived(Property::Arrives);
    }

    fn poll_for(&mut self, ms: u64) {
        for round in 0..ms / POLL_MS {
            for host in 0..self.hosts.len() {
                self.poll(host, (host + round as usize) % 2, 60_000, LATENCY_MS);
            }
            self.pass(POLL_MS);
        }
        self.pass(ms % POLL_MS);
    }
}

/// A mailbox that an earlier hub left behind, a day ahead of the clock.
fn left() -> Mailbox {
    Mailbox {
        epoch: BEGIN_MS + 24 * 3_600_000,
        head: 7,
        pruned_before: 0,
        intents: Vec::new(),
        written_at: Timestamp::UNIX_EPOCH,
    }
}
