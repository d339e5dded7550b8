//! Workers KV as its documentation has it: each place answers from its cache for up to a minute, misses included;
//! a key takes one write a second; what lands last stays.

use std::rc::Rc;

use towline_protocol::Mailbox;

use super::world::CHANNELS;

/// How long a place may answer from its cache.
pub(super) const STALE_MS: u64 = 60_000;

/// Where values are read: two regions of hosts, and the hub's own.
pub(super) const PLACES: usize = 3;

/// The place where the hub is.
pub(super) const HUBS_PLACE: usize = 2;

type Value = Option<Rc<Mailbox>>;

/// The keys of all channels.
#[derive(Debug, Default)]
pub(super) struct Kv {
    values: [Value; CHANNELS.len()],
    written_at: [Option<u64>; CHANNELS.len()],
    caches: [[Option<(u64, Value)>; CHANNELS.len()]; PLACES],
}

impl Kv {
    /// What a reader sees; what is not in its place's cache is kept there for `keep_ms`.
    pub(super) fn read(&mut self, place: usize, channel: usize, now: u64, keep_ms: u64) -> Value {
        let cached = &mut self.caches[place][channel];
        if let Some((until, value)) = cached
            && *until > now
        {
            return value.clone();
        }
        let value = self.values[channel].clone();
        *cached = Some((now + keep_ms.min(STALE_MS), value.clone()));
        value
    }

    /// A put arrives; `false` when the last write was less than a second ago.
    pub(super) fn write(&mut self, channel: usize, mailbox: Rc<Mailbox>, now: u64) -> bool {
        let written = &mut self.written_at[channel];
        if written.is_some_and(|at| now < at + 1_000) {
            return false;
        }
        *written = Some(now);
        self.values[channel] = Some(mailbox);
        true
    }
}
