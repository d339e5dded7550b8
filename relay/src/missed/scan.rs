//! One look at a hook's attempts, page after page, and what follows from it.

use std::collections::BTreeMap;

use super::{GRACE_MS, Look, MOST_WAITING, Missed, OVERLAP_MS, Page, REACH_MS, Unfinished};
use crate::gate::Gate;

/// One look at a hook's attempts, the newest first.
#[derive(Clone, Debug)]
pub struct Scan {
    look: Look,
    began_ms: u64,
    since_ms: u64,
    overflown: bool,
    arrived: BTreeMap<String, u64>,
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
    arrived: bool,
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
            arrived: BTreeMap::new(),
            next: Next::First,
            seen: BTreeMap::new(),
        };
        if let Some(unfinished) = scan.look.unfinished.take() {
            scan.began_ms = unfinished.began_ms;
            scan.overflown = unfinished.overflown;
            scan.arrived = unfinished.arrived;
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
            if !gate.takes(&delivery.event) {
                continue;
            }
            let seen = self.seen.entry(delivery.guid.clone()).or_insert(Seen {
                arrived: false,
                worth: delivery.is_worth_another(),
                attempt: delivery.id,
                oldest_ms: at_ms,
                stream: delivery.stream(),
            });
            seen.arrived |= delivery.has_arrived();
            seen.oldest_ms = seen.oldest_ms.min(at_ms);
        }
    }

    /// Begins anew: GitHub does not know the cursor any more.
    pub fn begin_anew(&mut self, now_ms: u64) {
        self.next = Next::First;
        self.began_ms = now_ms;
        self.overflown = false;
        self.arrived.clear();
    }

    /// What is to be remembered, and the lost deliveries that later ones have overtaken.
    pub fn end(mut self) -> (Look, Vec<Missed>) {
        for (guid, seen) in std::mem::take(&mut self.seen) {
            self.settle(guid, seen);
        }
        let overtaken = self.overtaken();
        match self.next {
            Next::At(cursor) => {
                self.look.unfinished = Some(Unfinished {
                    cursor,
                    began_ms: self.began_ms,
                    overflown: self.overflown,
                    arrived: self.arrived,
                });
            }
            Next::None if !self.overflown => self.look.seen_ms = self.began_ms,
            Next::None | Next::First => {}
        }
        (self.look, overtaken)
    }

    fn overtaken(&mut self) -> Vec<Missed> {
        let is_overtaken = |one: &Missed| {
            let stream = one.stream.as_ref();
            let arrived = stream.and_then(|stream| self.arrived.get(stream));
            arrived.is_some_and(|arrived| *arrived > one.delivered_ms)
        };
        let waiting = std::mem::take(&mut self.look.waiting);
        let (gone, waiting) = waiting.into_iter().partition(is_overtaken);
        self.look.waiting = waiting;
        gone
    }

    fn settle(&mut self, guid: String, seen: Seen) {
        let waiting = &mut self.look.waiting;
        if seen.arrived
            && let Some(stream) = &seen.stream
        {
            let newest = self.arrived.entry(stream.clone()).or_default();
            *newest = seen.oldest_ms.max(*newest);
        }
        if seen.arrived || !seen.worth {
            self.look.give_up(&guid);
        } else if let Some(known) = waiting.iter_mut().find(|one| one.guid == guid) {
            known.attempt = seen.attempt;
        } else if waiting.len() < MOST_WAITING {
            waiting.push(Missed {
                guid,
                attempt: seen.attempt,
                delivered_ms: seen.oldest_ms,
                stream: seen.stream,
                asked: 0,
                next_ms: seen.oldest_ms.saturating_add(GRACE_MS),
            });
        } else {
            self.overflown = true;
        }
    }
}
