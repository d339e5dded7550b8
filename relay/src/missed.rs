//! Missed deliveries: which deliveries of a hook never arrived, and when GitHub is asked for them again.
//!
//! GitHub repeats nothing by itself, lists the attempts of three days and delivers again what it is asked
//! for (GitHub, "Handling failed webhook deliveries"). What is decided here takes the time as an argument
//! and touches nothing; [`crate::github`] speaks, [`crate::cron`] acts, the hub remembers a [`Look`] a
//! hook. That a delivery is asked for once too often does no harm: the hub knows its cause.
//!
//! A lost delivery whose order nothing but its arrival tells is given up once a later one about the same has
//! arrived: late, it would set hosts back. What is not known to be about the same is asked for: that a
//! version never comes would go unnoticed.
//!
//! In [`answer`] what GitHub lists, in [`about`] what a delivery is about, in [`scan`] what follows, in [`hook`]
//! what is looked at.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

mod about;
pub mod answer;
mod hook;
mod scan;

pub use about::about;
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

/// How many later deliveries a lost one is compared with, the newest ones.
const MOST_RIVALS: usize = 20;

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
    /// What was given up and will be seen once more, with the time of its oldest attempt in milliseconds since 1970.
    #[serde(default)]
    pub given_up: BTreeMap<String, u64>,
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
    /// The newest deliveries of each stream that it has seen arrive.
    #[serde(default)]
    pub arrived_of: BTreeMap<String, Vec<Rival>>,
    /// The deliveries whose repetition it has seen end, and their first attempt not yet: the attempt that arrived, or
    /// nothing for one that the relay refused.
    #[serde(default)]
    pub ended: BTreeMap<String, Option<u64>>,
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
    /// What came later and has arrived, the newest first.
    #[serde(default)]
    pub rivals: Vec<Rival>,
}

/// A delivery that has arrived, and was later than a lost one of its stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rival {
    /// The attempt that arrived.
    pub attempt: u64,
    /// When its oldest attempt was, in milliseconds since 1970.
    pub delivered_ms: u64,
    /// Whether it is known to be about something else.
    pub unlike: bool,
}

impl Missed {
    /// The attempts of later deliveries that may be about the same.
    pub fn rivals(&self) -> Vec<u64> {
        let rivals = self.rivals.iter().filter(|rival| !rival.unlike);
        rivals.map(|rival| rival.attempt).collect()
    }

    /// Takes in those of these that were later, unless it has them.
    fn take_rivals(&mut self, arrived: &[Rival]) {
        let later = arrived
            .iter()
            .filter(|rival| rival.delivered_ms > self.delivered_ms);
        for rival in later {
            if self.rivals.iter().all(|one| one.attempt != rival.attempt) {
                self.rivals.push(rival.clone());
            }
        }
        newest(&mut self.rivals);
    }
}

/// Leaves the newest ones.
fn newest(rivals: &mut Vec<Rival>) {
    rivals.sort_by_key(|rival| Reverse((rival.delivered_ms, rival.attempt)));
    rivals.truncate(MOST_RIVALS);
}

impl Look {
    /// Whether GitHub wants to be left alone.
    pub fn is_paused(&self, now_ms: u64) -> bool {
        now_ms < self.paused_until_ms
    }

    /// What may be asked for next, after what was asked for in this run.
    pub fn next(&self, now_ms: u64, asked: &BTreeSet<Option<String>>) -> Option<Missed> {
        let is_free = |one: &Missed| one.stream.is_none() || !asked.contains(&one.stream);
        self.due(now_ms).into_iter().find(is_free)
    }

    /// What may be asked for in one run, the oldest first, and one of each stream, so that they come in
    /// their order.
    fn due(&self, now_ms: u64) -> Vec<Missed> {
        let due = self.waiting.iter().filter(|one| one.next_ms <= now_ms);
        let mut due: Vec<_> = due.cloned().collect();
        due.sort_by_key(|one| (one.asked, one.delivered_ms));
        let mut streams = BTreeSet::new();
        due.retain(|one| one.stream.is_none() || streams.insert(one.stream.clone()));
        due
    }

    /// Notes that a delivery was asked for.
    pub fn asked(&mut self, guid: &str, now_ms: u64) {
        for one in self.waiting.iter_mut().filter(|one| one.guid == guid) {
            one.next_ms = now_ms.saturating_add(pause_ms(one.asked));
            one.asked = one.asked.saturating_add(1);
        }
    }

    /// Notes that a later delivery is about something else.
    pub fn unlike(&mut self, guid: &str, attempt: u64) {
        let waiting = self.waiting.iter_mut().filter(|one| one.guid == guid);
        for rival in waiting.flat_map(|one| &mut one.rivals) {
            rival.unlike |= rival.attempt == attempt;
        }
    }

    /// Gives a delivery up, for good.
    pub fn give_up(&mut self, lost: &Missed) {
        self.forget(&lost.guid);
        self.given_up.insert(lost.guid.clone(), lost.delivered_ms);
    }

    fn forget(&mut self, guid: &str) {
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
