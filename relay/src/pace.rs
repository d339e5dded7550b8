//! The pacing of puts into KV: when a channel's mailbox is put, and when the alarm looks again. Pure.
//!
//! What is put, and whether anything is due, the hub's rows know. Here is only what may be forgotten with
//! the hub's memory: which channels are at it now, when each was put last, how often the alarm has found
//! something left to do. A new [`Pace`] is what an evicted hub begins with.

use std::{collections::BTreeMap, time::Duration};

use towline_protocol::Channel;

/// The shortest time between the end of a put and the next one of the same key: KV takes one write a
/// second (Cloudflare, "Workers KV limits") and counts when it arrives. A tenth more, because clocks and
/// timers here are a few milliseconds off.
pub const PUT_PAUSE: Duration = Duration::from_millis(1100);

/// How long a put may take before it counts as failed.
pub const PUT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many puts the alarm has in flight: a Worker opens so many connections at once
/// (Cloudflare, "Workers limits").
pub const PUTS_AT_ONCE: usize = 6;

/// How long after a commit the alarm looks whether the mailbox was written.
pub const FIRST_ALARM: Duration = Duration::from_secs(2);

const LAST_ALARM: Duration = Duration::from_secs(60);

/// What has happened to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its mailbox may be behind: a commit, or the alarm's look at the rows.
    Behind,
    /// What KV has is not known any more: a put that had been given up has ended, or the mailbox there was
    /// found to be another.
    Doubt,
    /// The wait is over that was asked for.
    Rested,
    /// The put is over that was asked for.
    Ended(Ended),
    /// The note is made that was asked for.
    Noted,
}

/// How a put ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing had to be put.
    NothingDue,
    /// KV has it, and the rows say so.
    Written {
        /// Whether the mailbox is behind again.
        behind: bool,
    },
    /// It failed, or did not answer within [`PUT_TIMEOUT`]: the alarm repeats it.
    Failed,
}

/// What to do for a channel. When it is done, that is the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: somebody else is at it, or all is done that can be done now.
    Nothing,
    /// Wait for so long.
    Wait(Duration),
    /// Put the mailbox as the rows have it now, if they say that it is due.
    Put,
    /// Note in the rows that KV may have any older mailbox, so that it is due.
    Unwritten,
}

/// The pacing of all channels' puts, and of the alarm.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    puts: BTreeMap<Channel, Put>,
    /// How many alarms in a row have found something to do.
    failures: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Put {
    /// Whether an action is under way.
    busy: bool,
    /// Whether there came a doubt meanwhile: what is put then may not be what KV keeps.
    spoilt: bool,
    /// When the last put began or ended.
    last_ms: Option<u64>,
}

impl Pace {
    /// What to do now that this has happened to `channel`, at once.
    pub fn on(&mut self, channel: &Channel, event: Event, now_ms: u64) -> Action {
        if matches!(event, Event::Ended(Ended::Written { .. })) {
            self.failures = 0;
        }
        let put = self.puts.entry(channel.clone()).or_default();
        if matches!(
            event,
            Event::Doubt | Event::Ended(Ended::Written { .. } | Ended::Failed)
        ) {
            put.last_ms = Some(now_ms);
        }
        match event {
            // Whoever is at it looks again when done.
            Event::Behind if put.busy => Action::Nothing,
            Event::Doubt if put.busy => {
                put.spoilt = true;
                Action::Nothing
            }
            // It is due then as it was before, whatever KV has.
            Event::Ended(Ended::Failed) => put.rest(),
            Event::Ended(_) if put.spoilt => put.doubt(),
            Event::Ended(Ended::NothingDue | Ended::Written { behind: false }) => put.rest(),
            Event::Doubt => put.doubt(),
            Event::Behind
            | Event::Rested
            | Event::Noted
            | Event::Ended(Ended::Written { behind: true }) => put.go_on(now_ms),
        }
    }

    /// When the alarm that has fired must fire again, which is to be seen to before anything else;
    /// `None` when nothing is due.
    pub fn alarm(&mut self, is_due: bool) -> Option<Duration> {
        let failures = self.failures;
        self.failures = if is_due {
            failures.saturating_add(1)
        } else {
            0
        };
        is_due.then(|| retry_after(failures))
    }
}

impl Put {
    fn rest(&mut self) -> Action {
        (self.busy, self.spoilt) = (false, false);
        Action::Nothing
    }

    fn doubt(&mut self) -> Action {
        (self.busy, self.spoilt) = (true, false);
        Action::Unwritten
    }

    fn go_on(&mut self, now_ms: u64) -> Action {
        self.busy = true;
        let pause = pause(self.last_ms, now_ms);
        if pause.is_zero() {
            self.last_ms = Some(now_ms);
            Action::Put
        } else {
            Action::Wait(pause)
        }
    }
}

/// How long a put has to wait after the last one of the same key began or ended.
fn pause(last_put_ms: Option<u64>, now_ms: u64) -> Duration {
    let since = last_put_ms.map(|last| Duration::from_millis(now_ms.saturating_sub(last)));
    since.map_or(Duration::ZERO, |since| PUT_PAUSE.saturating_sub(since))
}

/// When the alarm tries again after so many failures in a row: doubling, at most a minute.
fn retry_after(failures: u32) -> Duration {
    let factor = 2u32.saturating_pow(failures.min(16));
    FIRST_ALARM.saturating_mul(factor).min(LAST_ALARM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Channel {
        "octo-org/web".parse().unwrap()
    }

    /// A pace that has put `web` at 5000 and heard how that ended.
    fn after(ended: Ended) -> (Pace, Action) {
        let mut pace = Pace::default();
        assert_eq!(pace.on(&web(), Event::Behind, 5000), Action::Put);
        let next = pace.on(&web(), Event::Ended(ended), 5300);
        (pace, next)
    }

    #[test]
    fn the_first_put_goes_out_at_once_and_the_next_a_second_after_its_end() {
        let (mut pace, next) = after(Ended::Written { behind: false });
        assert_eq!(next, Action::Nothing);
        let wait = Action::Wait(Duration::from_millis(800));
        assert_eq!(pace.on(&web(), Event::Behind, 5600), wait);
        assert_eq!(pace.on(&web(), Event::Rested, 6400), Action::Put);
    }

    #[test]
    fn what_is_committed_while_somebody_is_at_it_waits_for_him() {
        let mut pace = Pace::default();
        pace.on(&web(), Event::Behind, 5000);
        assert_eq!(pace.on(&web(), Event::Behind, 5100), Action::Nothing);
        let behind = Event::Ended(Ended::Written { behind: true });
        assert_eq!(pace.on(&web(), behind, 5200), Action::Wait(PUT_PAUSE));
        assert_eq!(pace.on(&web(), Event::Behind, 5300), Action::Nothing);
    }

    #[test]
    fn a_timer_that_fires_early_is_set_again_and_a_clock_that_went_back_waits_a_pause() {
        let (mut pace, next) = after(Ended::Written { behind: true });
        assert_eq!(next, Action::Wait(PUT_PAUSE));
        let wait = Action::Wait(Duration::from_millis(1));
        assert_eq!(pace.on(&web(), Event::Rested, 6399), wait);
        assert_eq!(
            pace.on(&web(), Event::Rested, 4000),
            Action::Wait(PUT_PAUSE)
        );
    }

    #[test]
    fn a_put_that_ends_late_has_the_mailbox_put_again_even_when_it_ends_during_another() {
        let (mut pace, _) = after(Ended::Failed);
        assert_eq!(pace.on(&web(), Event::Doubt, 20_000), Action::Unwritten);
        assert_eq!(pace.on(&web(), Event::Behind, 20_000), Action::Nothing);
        let wait = Action::Wait(PUT_PAUSE);
        assert_eq!(pace.on(&web(), Event::Noted, 20_000), wait);
        assert_eq!(pace.on(&web(), Event::Rested, 21_100), Action::Put);
        assert_eq!(pace.on(&web(), Event::Doubt, 21_200), Action::Nothing);
        let written = Event::Ended(Ended::Written { behind: false });
        assert_eq!(pace.on(&web(), written, 21_300), Action::Unwritten);
        assert_eq!(pace.on(&web(), Event::Noted, 21_300), wait);
    }

    #[test]
    fn a_put_that_failed_leaves_the_channel_to_the_alarm_which_backs_off_to_a_minute() {
        let (mut pace, next) = after(Ended::Failed);
        assert_eq!(next, Action::Nothing);
        let again: Vec<_> = (0..7)
            .map(|_| pace.alarm(true).unwrap().as_secs())
            .collect();
        assert_eq!(again, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pace.on(&web(), Event::Behind, 9000), Action::Put);
    }

    #[test]
    fn the_alarm_begins_anew_when_something_was_written_or_nothing_is_due() {
        let (mut pace, _) = after(Ended::Failed);
        pace.alarm(true);
        pace.on(&web(), Event::Behind, 9000);
        pace.on(&web(), Event::Ended(Ended::Written { behind: false }), 9000);
        assert_eq!(pace.alarm(true), Some(FIRST_ALARM));
        assert_eq!(pace.alarm(false), None);
        assert_eq!(pace.alarm(true), Some(FIRST_ALARM));
    }
}
