//! What must hold whatever the world does. `docs/architecture.md` has the table.

use std::collections::BTreeMap;

use towline_protocol::IntentId;
use towline_relay::{hub::ask::Committed, pace};

use super::{
    delivery::Cause,
    kv::STALE_MS,
    world::{CHANNELS, World},
};

/// How often a host polls, in milliseconds.
pub(super) const POLL_MS: u64 = 30_000;

/// How long an intent may take to a host once nothing goes wrong any more and no put that hangs can land: two
/// alarms (the first may meet a limit), a put, what a place may answer from its cache, a poll, the hub's answer.
pub(super) const IN_TIME_MS: u64 =
    2 * 60_000 + pace::PUT_PAUSE.as_millis() as u64 + 1_000 + STALE_MS + POLL_MS + 1_000;

/// How long a ring may take while its socket lives.
pub(super) const RING_MS: u64 = 1_000;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Property {
    /// Every accepted intent reaches every host that listens.
    Arrives,
    /// It does so within [`IN_TIME_MS`] once nothing goes wrong any more.
    InTime,
    /// And within [`RING_MS`] where a socket lives that was there before the intent.
    Rung,
    /// No host takes an intent twice.
    Once,
    /// Neither a mark nor a channel's numbers ever step back or come again.
    Forward,
    /// One put of a channel is under way at a time, and begins a second after the last one ended.
    OnePut,
    /// An accepted intent is on record when the answer goes out.
    OnRecord,
    /// The same cause gets the same answer.
    SameAnswer,
}

/// The properties that a play has broken, each with how.
pub(super) type Broken = BTreeMap<Property, String>;

impl World {
    pub(super) fn breaks(&mut self, property: Property, how: impl Into<String>) {
        let how = format!("at {} ms: {}", self.now, how.into());
        self.broken.entry(property).or_insert(how);
    }

    /// When a delivery is answered with an intent.
    pub(super) fn check_answer(&mut self, cause: Cause, answer: &Committed) {
        let on_record = self.hub.on_record(cause.key());
        let is_it = |found: &Committed| (&found.id, found.seq) == (&answer.id, answer.seq);
        if !on_record.as_ref().is_some_and(is_it) {
            self.breaks(
                Property::OnRecord,
                format!("{answer:?}, and on record is {on_record:?}"),
            );
        }
        let before = self
            .answers
            .insert((self.hub.storage, cause.number), answer.clone());
        if let Some(before) = before.filter(|before| !is_it(before)) {
            self.breaks(Property::SameAnswer, format!("{before:?}, then {answer:?}"));
        }
    }

    /// When an intent is numbered.
    pub(super) fn check_number(&mut self, channel: usize, number: (u64, u64)) {
        let before = std::mem::replace(&mut self.numbers[channel], number);
        if number <= before {
            self.breaks(
                Property::Forward,
                format!("{number:?} was given out after {before:?}"),
            );
        }
    }

    /// When a ring should have come.
    pub(super) fn check_ring(&mut self, host: usize, socket: u32, channel: usize, id: &IntentId) {
        let host = &self.hosts[host];
        let pruned = self.accepted.get(id).is_some_and(|one| one.pruned);
        let lives = host
            .socket
            .is_some_and(|own| own.number == socket && own.lives);
        if lives && !pruned && !host.knows(channel, id) {
            self.breaks(Property::Rung, format!("{id} was not rung"));
        }
    }

    /// What the hosts do not have, of what was accepted and not lost with a hub's storage or pruned.
    pub(super) fn check_arrived(&mut self, property: Property) {
        let mut missing = Vec::new();
        for (id, accepted) in &self.accepted {
            for (number, host) in self.hosts.iter().enumerate() {
                let excused = accepted.storage != self.hub.storage || accepted.pruned;
                if !excused && !host.knows(accepted.channel, id) {
                    missing.push(format!(
                        "host {number} lacks {id} of {}",
                        CHANNELS[accepted.channel]
                    ));
                }
            }
        }
        if !missing.is_empty() {
            self.breaks(property, missing.join(", "));
        }
    }
}
