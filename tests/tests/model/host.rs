//! A host as its poller keeps it: marks and intents on disk, taken in together, and the gaps in memory.

use std::{collections::BTreeMap, rc::Rc};

use towline::mailbox::{brings_anything, is_credible, read};
use towline_protocol::{ChannelNews, Intent, IntentId, Mailbox, Mark};

use super::{
    mutant::Mutant,
    property::Property,
    step::Point,
    world::{CHANNELS, LATENCY_MS, Later, World},
};

/// How soon the hub is asked again for a gap that it did not fill.
const HUB_RETRY_MS: u64 = 30 * 60_000;

/// A socket that a host has opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Socket {
    pub(super) number: u32,
    /// When its hello reaches the hub.
    pub(super) hello_at: u64,
    /// Whether anything still goes through.
    pub(super) lives: bool,
}

/// One host.
#[derive(Debug, Default)]
pub(super) struct Host {
    marks: [Option<Mark>; CHANNELS.len()],
    intents: [Vec<Intent>; CHANNELS.len()],
    /// From when on the hub may be asked for what is missing.
    gaps: BTreeMap<usize, u64>,
    /// Whether the hub is asked just now.
    asking: [bool; CHANNELS.len()],
    /// Counts how often its poller was started.
    pub(super) life: u32,
    pub(super) sockets: u32,
    pub(super) socket: Option<Socket>,
    /// Where it dies with the next answer that brings something.
    pub(super) dies: Option<Point>,
}

impl Host {
    pub(super) fn knows(&self, channel: usize, id: &IntentId) -> bool {
        self.intents[channel].iter().any(|intent| intent.id == *id)
    }

    pub(super) fn mark(&self, channel: usize) -> Mark {
        self.marks[channel].unwrap_or_default()
    }
}

impl World {
    /// A host asks for both channels. What KV says is read now and arrives later.
    pub(super) fn poll(&mut self, host: usize, place: usize, keep_ms: u64, after_ms: u64) {
        for channel in 0..CHANNELS.len() {
            let mailbox = self.kv.read(place, channel, self.now, keep_ms);
            let mark = self.hosts[host].mark(channel);
            let news = mailbox.map_or_else(ChannelNews::default, |mailbox| since(&mailbox, mark));
            let life = self.hosts[host].life;
            self.after(
                after_ms,
                Later::Answer {
                    host,
                    life,
                    channel,
                    news,
                    fresh: false,
                },
            );
        }
    }

    pub(super) fn ask_hub(&mut self, host: usize, channel: usize) {
        let own = &self.hosts[host];
        let (life, mark) = (own.life, own.mark(channel));
        let rests = own.gaps.get(&channel).is_none_or(|at| *at > self.now);
        if rests || own.asking[channel] {
            return;
        }
        match self.fresh(channel, mark) {
            Some(news) => {
                self.hosts[host].asking[channel] = true;
                self.after(
                    LATENCY_MS,
                    Later::Answer {
                        host,
                        life,
                        channel,
                        news,
                        fresh: true,
                    },
                );
            }
            None => self.after(
                2 * 60_000,
                Later::AskHub {
                    host,
                    life,
                    channel,
                },
            ),
        }
    }

    /// What an answer or a ring says is taken in.
    pub(super) fn take_in(&mut self, host: usize, channel: usize, news: ChannelNews, fresh: bool) {
        let now = self.timestamp();
        self.hosts[host].asking[channel] &= !fresh;
        let own = &self.hosts[host];
        let before = own.marks[channel];
        let heeds = brings_anything(before, &news) || self.makes(Mutant::TakesOldEpochs);
        if !is_credible(&news, now) || !heeds {
            return;
        }
        let known: &[Intent] = if self.makes(Mutant::ForgetsWhatItKnows) {
            &[]
        } else {
            &own.intents[channel]
        };
        let (epoch, head) = (news.epoch, news.head);
        let name = CHANNELS[channel].parse().unwrap();
        let seen = before.filter(|mark| !self.makes(Mutant::TakesOldEpochs) || mark.epoch == epoch);
        let mut reading = read(&name, seen, known, news, &Default::default());
        if self.makes(Mutant::MovesMarkAcrossGap) {
            reading.mark = Mark { epoch, seq: head };
            reading.gap = false;
        }
        if self.keep(host, channel, reading.mark, reading.received) {
            self.note_gap(
                host,
                channel,
                reading.gap,
                fresh && before == Some(reading.mark),
            );
        }
    }

    /// Mark and intents, together; `false` when the poller has died of it.
    fn keep(&mut self, host: usize, channel: usize, mark: Mark, received: Vec<Intent>) -> bool {
        let dies = self.hosts[host].dies.take();
        let before = self.hosts[host].marks[channel];
        if dies == Some(Point::BeforeCommit) {
            if self.makes(Mutant::KeepsMarkAlone) {
                self.hosts[host].marks[channel] = Some(mark);
            }
            self.crash(host);
            return false;
        }
        if before.is_some_and(|before| mark < before) {
            self.breaks(
                Property::Forward,
                format!("host {host} went from {before:?} to {mark}"),
            );
        }
        for intent in received {
            if self.hosts[host].knows(channel, &intent.id) {
                self.breaks(
                    Property::Once,
                    format!("host {host} took {} twice", intent.id),
                );
            }
            self.hosts[host].intents[channel].push(intent);
        }
        self.hosts[host].intents[channel].sort_by_key(|intent| (intent.epoch, intent.seq));
        self.hosts[host].marks[channel] = Some(mark);
        if dies == Some(Point::AfterCommit) {
            self.crash(host);
        }
        dies.is_none()
    }

    fn note_gap(&mut self, host: usize, channel: usize, gap: bool, unfilled: bool) {
        let (now, own) = (self.now, &mut self.hosts[host]);
        if !gap {
            own.gaps.remove(&channel);
            return;
        }
        let at = if unfilled {
            own.gaps.insert(channel, now + HUB_RETRY_MS);
            now + HUB_RETRY_MS
        } else {
            *own.gaps.entry(channel).or_insert(now)
        };
        let life = own.life;
        self.after(
            at.saturating_sub(now) + LATENCY_MS,
            Later::AskHub {
                host,
                life,
                channel,
            },
        );
    }

    /// The poller dies and is started again: what is on disk stays.
    pub(super) fn crash(&mut self, host: usize) {
        self.disconnect(host);
        let own = &mut self.hosts[host];
        own.life += 1;
        own.gaps.clear();
        own.asking = Default::default();
        own.dies = None;
    }
}

/// What is newer than the mark. Most polls bring nothing, and copying costs the most.
fn since(mailbox: &Rc<Mailbox>, mark: Mark) -> ChannelNews {
    let news = (mailbox.epoch, mailbox.head) > (mark.epoch, mark.seq);
    let intents = if news {
        mailbox.intents.clone()
    } else {
        Vec::new()
    };
    let mailbox = Mailbox {
        intents,
        ..**mailbox
    };
    mailbox.since(mark)
}
