//! The day's counts: what the hub has done today (UTC), against the daily limits of the plan.
//!
//! They are kept in memory and written now and then, because each time is a row of those limits: with every
//! event while there are few, later once a minute. A hub that is dropped from memory then loses up to a
//! minute of them. They are for people; nothing depends on them.

use jiff::{Timestamp, civil::Date, tz::Offset};
use serde::{Deserialize, Serialize};
use towline_protocol::Today;

/// How often the counts are written with every event in a day: 2% of the rows of the free plan
/// (Cloudflare, "Durable Objects pricing").
const SAVED_AT_ONCE: u32 = 2000;

/// How long they stay in memory after that, in milliseconds.
const SAVED_EVERY_MS: u64 = 60_000;

/// Something that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request to the hub, or its alarm: both are billed.
    Request,
    /// A frame came in on a doorbell.
    Frame,
    /// A put into KV was tried.
    KvWrite,
    /// An intent was committed.
    Intent,
    /// So many reports were kept.
    Reports(u64),
}

/// What is written: the counts, and how often and when they were written today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    today: Today,
    saves: u32,
    #[serde(default)]
    saved_ms: u64,
}

/// The counts of the day.
#[derive(Debug)]
pub struct Tally {
    kept: Kept,
    changed: bool,
}

impl Tally {
    /// Goes on with what was written last.
    pub fn new(kept: Option<Kept>, now: Timestamp) -> Self {
        let day = day(now);
        let kept = kept.filter(|kept| kept.today.date == day);
        Self {
            kept: kept.unwrap_or_else(|| nothing(day)),
            changed: false,
        }
    }

    /// Counts an event.
    pub fn count(&mut self, event: Event, now: Timestamp) {
        let day = day(now);
        if self.kept.today.date != day {
            self.kept = nothing(day);
        }
        let today = &mut self.kept.today;
        let (count, by) = match event {
            Event::Request => (&mut today.hub_requests, 1),
            Event::Frame => (&mut today.frames, 1),
            Event::KvWrite => (&mut today.kv_writes, 1),
            Event::Intent => (&mut today.intents, 1),
            Event::Reports(reports) => (&mut today.reports, reports),
        };
        *count = count.saturating_add(by);
        self.changed = true;
    }

    /// What is to be written now, if anything is.
    pub fn due(&mut self, now_ms: u64) -> Option<Kept> {
        let rested = now_ms.saturating_sub(self.kept.saved_ms) >= SAVED_EVERY_MS;
        if !self.changed || (self.kept.saves >= SAVED_AT_ONCE && !rested) {
            return None;
        }
        self.changed = false;
        self.kept.saved_ms = now_ms;
        self.kept.saves = self.kept.saves.saturating_add(1);
        Some(self.kept.clone())
    }

    /// Today's counts.
    pub fn today(&self, now: Timestamp) -> Today {
        let day = day(now);
        if self.kept.today.date == day {
            self.kept.today.clone()
        } else {
            nothing(day).today
        }
    }
}

fn nothing(date: Date) -> Kept {
    let today = Today {
        date,
        hub_requests: 0,
        frames: 0,
        kv_writes: 0,
        intents: 0,
        reports: 0,
    };
    Kept {
        today,
        saves: 0,
        saved_ms: 0,
    }
}

fn day(now: Timestamp) -> Date {
    Offset::UTC.to_datetime(now).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-20T12:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_event_counts_for_itself() {
        let mut tally = Tally::new(None, at(NOON));
        for event in [
            Event::Request,
            Event::Request,
            Event::Frame,
            Event::KvWrite,
            Event::Intent,
            Event::Reports(3),
        ] {
            tally.count(event, at(NOON));
        }
        let today = tally.today(at(NOON));
        let counts = (
            today.hub_requests,
            today.frames,
            today.kv_writes,
            today.intents,
            today.reports,
        );
        assert_eq!(counts, (2, 1, 1, 1, 3));
        assert_eq!(today.date.to_string(), "2026-11-20");
    }

    #[test]
    fn at_midnight_in_utc_they_begin_anew() {
        let mut tally = Tally::new(None, at(NOON));
        tally.count(Event::Intent, at("2026-11-20T23:59:59.999Z"));
        assert_eq!(tally.today(at("2026-11-21T00:00:00Z")).intents, 0);
        tally.count(Event::Intent, at("2026-11-21T00:00:00Z"));
        assert_eq!(tally.today(at("2026-11-21T00:00:00Z")).intents, 1);
    }

    #[test]
    fn a_hub_that_starts_anew_goes_on_with_what_was_written_today() {
        let mut tally = Tally::new(None, at(NOON));
        tally.count(Event::Intent, at(NOON));
        let kept = tally.due(0).unwrap();
        let json = serde_json::to_string(&kept).unwrap();
        let kept: Kept = serde_json::from_str(&json).unwrap();
        let anew = Tally::new(Some(kept.clone()), at("2026-11-20T13:00:00Z"));
        assert_eq!(anew.today(at(NOON)).intents, 1);
        let tomorrow = at("2026-11-21T00:00:00Z");
        assert_eq!(Tally::new(Some(kept), tomorrow).today(tomorrow).intents, 0);
    }

    #[test]
    fn few_events_are_written_each_and_many_once_a_minute() {
        let mut tally = Tally::new(None, at(NOON));
        assert_eq!(tally.due(0), None, "nothing was counted");
        let mut saves = 0;
        for at_ms in 0..10_000 {
            tally.count(Event::Frame, at(NOON));
            saves += u32::from(tally.due(at_ms).is_some());
        }
        assert_eq!(saves, SAVED_AT_ONCE);
        let last = u64::from(SAVED_AT_ONCE) - 1;
        assert_eq!(tally.due(last + SAVED_EVERY_MS - 1), None);
        assert!(tally.due(last + SAVED_EVERY_MS).is_some());
        assert_eq!(tally.due(last + 2 * SAVED_EVERY_MS), None, "nothing is new");
    }

    #[test]
    fn a_hub_that_is_dropped_again_and_again_writes_no_more_often() {
        let mut kept = None;
        let mut saves = 0;
        for at_ms in (0..100_000_u64).map(|woken| woken * 11) {
            let mut tally = Tally::new(kept.clone(), at(NOON));
            tally.count(Event::Request, at(NOON));
            if let Some(saved) = tally.due(at_ms) {
                saves += 1;
                kept = Some(saved);
            }
        }
        assert!(saves <= SAVED_AT_ONCE + 20, "{saves}");
    }
}
