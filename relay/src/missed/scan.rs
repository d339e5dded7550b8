//! One look at a hook's attempts, page after page, and what follows from it.

use std::collections::BTreeMap;

use super::{
    GRACE_MS, Look, MOST_WAITING, Missed, OVERLAP_MS, Page, REACH_MS, Rival, Unfinished, newest,
};
use crate::gate::Gate;

/// One look at a hook's attempts, the newest first.
#[derive(Clone, Debug)]
pub struct Scan {
    look: Look,
    began_ms: u64,
    since_ms: u64,
    overflown: bool,
    arrived_of: BTreeMap<String, Vec<Rival>>,
    ended: BTreeMap<String, Option<u64>>,
    next: Next,
    seen: BTreeMap<String, Seen>,
}

/// What the next page is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    First,
    At(String),
    None,
}

/// What a look has shown of one delivery.
#[derive(Clone, Debug)]
struct Seen {
    /// The attempt that arrived.
    arrived: Option<u64>,
    /// Whether its first attempt is among those seen.
    whole: bool,
    /// Whether its newest attempt was one that another may mend.
    worth: bool,
    attempt: u64,
    oldest_ms: u64,
    stream: Option<String>,
}

impl Look {
    /// Begins a look, or goes on with one.
    pub fn scan(self, now_ms: u64) -> Scan {
        let reach = now_ms.saturating_sub(REACH_MS);
        let since_ms = self.seen_ms.saturating_sub(OVERLAP_MS).max(reach);
        let mut scan = Scan {
            look: self,
            began_ms: now_ms,
            since_ms,
            overflown: false,
            arrived_of: BTreeMap::new(),
            ended: BTreeMap::new(),
            next: Next::First,
            seen: BTreeMap::new(),
        };
        if let Some(unfinished) = scan.look.unfinished.take() {
            scan.began_ms = unfinished.began_ms;
            scan.overflown = unfinished.overflown;
            scan.arrived_of = unfinished.arrived_of;
            scan.ended = unfinished.ended;
            scan.next = Next::At(unfinished.cursor);
        }
        scan
    }
}

impl Scan {
    /// The page to read next: its cursor, or `Some(None)` for the first one. `None` at the end.
    pub fn next_page(&self) -> Option<Option<&str>> {
        match &self.next {
            Next::First => Some(None),
            Next::At(cursor) => Some(Some(cursor)),
            Next::None => None,
        }
    }

    /// Takes a page in.
    pub fn read(&mut self, page: Page, gate: &Gate) {
        self.next = page.next.map_or(Next::None, Next::At);
        for delivery in page.deliveries {
            let at_ms = delivery.at_ms();
            if at_ms < self.since_ms {
                self.next = Next::None;
                break;
            }
            if !gate.takes(&delivery.event, delivery.action.as_deref()) {
                continue;
            }
            let seen = self.seen.entry(delivery.guid.clone()).or_insert(Seen {
                arrived: None,
                whole: false,
                worth: delivery.is_worth_another(),
                attempt: delivery.id,
                oldest_ms: at_ms,
                stream: delivery.stream(),
            });
            if delivery.has_arrived() {
                seen.arrived.get_or_insert(delivery.id);
            }
            seen.whole |= !delivery.redelivery;
            seen.oldest_ms = seen.oldest_ms.min(at_ms);
        }
    }

    /// Begins anew: GitHub does not know the cursor any more.
    pub fn begin_anew(&mut self, now_ms: u64) {
        self.next = Next::First;
        self.began_ms = now_ms;
        self.overflown = false;
        self.arrived_of.clear();
        self.ended.clear();
    }

    /// What is to be remembered.
    pub fn end(mut self) -> Look {
        for (guid, seen) in std::mem::take(&mut self.seen) {
            self.settle(guid, seen);
        }
        for one in &mut self.look.waiting {
            let arrived = one.stream.as_ref();
            let arrived = arrived.and_then(|stream| self.arrived_of.get(stream));
            one.take_rivals(arrived.map_or(&[], Vec::as_slice));
        }
        match self.next {
            Next::At(cursor) => {
                self.look.unfinished = Some(Unfinished {
                    cursor,
                    began_ms: self.began_ms,
                    overflown: self.overflown,
                    arrived_of: self.arrived_of,
                    ended: self.ended,
                });
            }
            Next::None if !self.overflown => {
                self.look.seen_ms = self.began_ms;
                let next_since = self.began_ms.saturating_sub(OVERLAP_MS);
                self.look.given_up.retain(|_, at_ms| *at_ms >= next_since);
            }
            Next::None | Next::First => {}
        }
        self.look
    }

    fn settle(&mut self, guid: String, mut seen: Seen) {
        let ended = if seen.whole {
            self.ended.remove(&guid)
        } else {
            None
        };
        if let Some(ended) = ended {
            (seen.arrived, seen.worth) = (ended.or(seen.arrived), false);
        }
        self.note_arrival(&guid, &seen);
        if seen.arrived.is_some() || !seen.worth {
            self.look.forget(&guid);
            if !seen.whole {
                self.ended.insert(guid, seen.arrived);
            }
        } else if !self.look.given_up.contains_key(&guid) {
            self.wait_for(guid, seen);
        }
    }

    /// A delivery is as old as its first attempt, however late it arrived; one whose first attempt is not known comes
    /// before all others.
    fn note_arrival(&mut self, guid: &str, seen: &Seen) {
        let known = self.look.waiting.iter().find(|one| one.guid == guid);
        let delivered_ms = match known {
            Some(known) => Some(known.delivered_ms.min(seen.oldest_ms)),
            None => seen.whole.then_some(seen.oldest_ms),
        };
        if let (Some(stream), Some(attempt), Some(delivered_ms)) =
            (&seen.stream, seen.arrived, delivered_ms)
        {
            let arrived = self.arrived_of.entry(stream.clone()).or_default();
            arrived.push(Rival {
                attempt,
                delivered_ms,
                unlike: false,
            });
            newest(arrived);
        }
    }

    fn wait_for(&mut self, guid: String, seen: Seen) {
        let waiting = &mut self.look.waiting;
        if let Some(known) = waiting.iter_mut().find(|one| one.guid == guid) {
            // In a look of several runs the older attempts come later.
            known.attempt = known.attempt.max(seen.attempt);
            known.delivered_ms = known.delivered_ms.min(seen.oldest_ms);
        } else if waiting.len() < MOST_WAITING {
            waiting.push(Missed {
                guid,
                attempt: seen.attempt,
                delivered_ms: seen.oldest_ms,
                stream: seen.stream,
                asked: 0,
                next_ms: seen.oldest_ms.saturating_add(GRACE_MS),
                rivals: Vec::new(),
            });
        } else {
            self.overflown = true;
        }
    }
}
