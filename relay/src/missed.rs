//! Missed deliveries: which deliveries of a hook never arrived, and when GitHub is asked for them again.
//!
//! GitHub repeats nothing by itself, lists the attempts of three days and delivers again what it is asked
//! for (GitHub, "Handling failed webhook deliveries"). What is decided here takes the time as an argument
//! and touches nothing; [`crate::github`] speaks, [`crate::cron`] acts, the hub remembers a [`Look`] a
//! hook. That a delivery is asked for once too often does no harm: the hub knows its cause.
//!
//! A lost delivery whose order nothing but its arrival tells is given up once a later one of the same event
//! and repository has arrived: late, it would set hosts back.
//!
//! In [`answer`] what GitHub says, in [`scan`] what follows from it, in [`hook`] what is looked at.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub mod answer;
mod hook;
mod scan;

pub use answer::{Delivery, Page};
pub use hook::Hook;
pub use scan::Scan;

/// For how long GitHub can be asked, in milliseconds. An attempt that is older is gone.
const REACH_MS: u64 = 3 * 86_400_000;

/// How far a look goes back beyond the last one, for attempts that were listed late.
const OVERLAP_MS: u64 = 600_000;

/// How long a delivery is left alone after its first attempt, which may be under way still.
const GRACE_MS: u64 = 60_000;

/// The first pause between two requests for the same delivery; each further one is three times as long.
const FIRST_PAUSE_MS: u64 = 600_000;

/// The longest of these pauses.
const LAST_PAUSE_MS: u64 = 86_400_000;

/// How many deliveries wait for a hook. A look that finds more sees nothing as settled, so that the next
/// ones find the rest again when some have gone.
const MOST_WAITING: usize = 300;

/// How many attempts a page has, the most that GitHub gives.
pub const PAGE: usize = 100;

/// What the relay remembers of a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Attempts before this, in milliseconds since 1970, are settled or among the waiting.
    pub seen_ms: u64,
    /// A look that has not come to its end.
    pub unfinished: Option<Unfinished>,
    /// When the hook last had its turn.
    pub turn_ms: u64,
    /// Until when GitHub wants to be left alone.
    pub paused_until_ms: u64,
    /// What has not arrived yet.
    pub waiting: Vec<Missed>,
}

/// A look that took too many pages for one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Where it goes on.
    pub cursor: String,
    /// When it began.
    pub began_ms: u64,
    /// Whether it has found more than can wait.
    pub overflown: bool,
    /// When the newest delivery of each stream was that it has seen arrive, in milliseconds since 1970.
    pub arrived: BTreeMap<String, u64>,
}

/// A delivery that has not arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// What all attempts have in common.
    pub guid: String,
    /// Its newest attempt that is known.
    pub attempt: u64,
    /// When its oldest one was, in milliseconds since 1970.
    pub delivered_ms: u64,
    /// See [`Delivery::stream`].
    pub stream: Option<String>,
    /// How often it was asked for.
    pub asked: u32,
    /// When it may be asked for.
    pub next_ms: u64,
}

impl Look {
    /// Whether GitHub wants to be left alone.
    pub fn is_paused(&self, now_ms: u64) -> bool {
        now_ms < self.paused_until_ms
    }

    /// What may be asked for now, the oldest first, at most so many, and one of each stream, so that they
    /// come in their order.
    pub fn due(&self, now_ms: u64, most: usize) -> Vec<Missed> {
        let due = self.waiting.iter().filter(|one| one.next_ms <= now_ms);
        let mut due: Vec<_> = due.cloned().collect();
        due.sort_by_key(|one| (one.asked, one.delivered_ms));
        let mut streams = BTreeSet::new();
        due.retain(|one| one.stream.is_none() || streams.insert(one.stream.clone()));
        due.truncate(most);
        due
    }

    /// Notes that a delivery was asked for.
    pub fn asked(&mut self, guid: &str, now_ms: u64) {
        for one in self.waiting.iter_mut().filter(|one| one.guid == guid) {
            one.next_ms = now_ms.saturating_add(pause_ms(one.asked));
            one.asked = one.asked.saturating_add(1);
        }
    }

    /// Gives a delivery up.
    pub fn give_up(&mut self, guid: &str) {
        self.waiting.retain(|one| one.guid != guid);
    }

    /// Gives up what GitHub does not know any more, and returns it.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Missed> {
        let reach = now_ms.saturating_sub(REACH_MS);
        let (gone, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|one| one.delivered_ms < reach);
        self.waiting = waiting;
        gone
    }
}

/// The hooks in the order of their turns: those come first that have waited longest, so that one that
/// always fails holds up no other.
pub fn turns(mut hooks: Vec<Hook>, looks: &BTreeMap<String, Look>) -> Vec<Hook> {
    hooks.sort_by_key(|hook| looks.get(&hook.to_string()).map_or(0, |look| look.turn_ms));
    hooks
}

/// How long to wait after asking for what was asked for so many times before.
fn pause_ms(asked: u32) -> u64 {
    let factor = 3u64.saturating_pow(asked.min(16));
    FIRST_PAUSE_MS.saturating_mul(factor).min(LAST_PAUSE_MS)
}

#[cfg(test)]
mod tests;
