//! The hourly upkeep's decisions: how much is done in one run, what may go for its age, and whether a
//! mailbox in KV is what the hub has put there. What is read and written is the hub's business.
//!
//! Everything that is written has a bound, because the free plan has one a day (Cloudflare, "Workers KV pricing" and
//! "Durable Objects pricing"): 99 reads and 20 puts of mailboxes an hour are 2.4% and half of what it
//! gives, 2,000 rows an hour half of its rows. What a run leaves, the next one goes on with.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use towline_protocol::{Channel, MAILBOX_WINDOW};

use crate::mailbox::{self, Numbers};

/// How many mailboxes are compared in one run: one call of KV takes 100 keys.
pub const MAILBOXES_A_RUN: u64 = 99;

/// How many mailboxes are put again in one run.
pub const PUTS_A_RUN: usize = 20;

/// How many rows are deleted in one run, counted as they are billed; those of the last host may come on top.
pub const ROWS_A_RUN: u64 = 2000;

/// What deleting an intent is billed as: its row and one in each of its two indexes.
pub const ROWS_OF_AN_INTENT: u64 = 3;

/// How many reports are looked at in one run for those that nobody can ask for any more.
pub const REPORTS_A_RUN: u64 = 5000;

/// For how long a host is remembered that is not heard of, if intents are not kept longer, in milliseconds.
pub const HOST_KEPT_MS: u64 = 90 * 86_400_000;

/// How long after an intent what KV shows proves nothing, because it may be an older copy.
const SETTLED: Duration = Duration::from_secs(600);

/// What the hub knows of a channel's mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The channel's numbers.
    pub numbers: Numbers,
    /// The newest `seq` that has reached KV.
    pub written: u64,
    /// When the newest intent was committed, in milliseconds since 1970.
    pub newest_ms: u64,
}

/// What became of comparing one mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be, or nothing can be told yet.
    Fine,
    /// KV lost it, or has an older one: it is put again.
    Lost,
    /// Pollers may have seen marks that this hub's numbers are below: the channel needs this epoch.
    Overtaken(u64),
    /// The hub's own epoch is so far in the future that no host believes in it: whatever KV has is no worse.
    Incredible,
}

/// What of a mailbox matters here.
#[derive(Deserialize)]
struct InKv {
    epoch: u64,
    #[serde(default)]
    head: u64,
}

/// What one run has done, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// How many mailboxes were compared.
    pub compared: usize,
    /// The channels whose mailboxes are put again.
    pub put_again: Vec<Channel>,
    /// The channels that got a higher epoch.
    pub overtaken: Vec<Channel>,
    /// How many intents went for their age.
    pub intents: u64,
    /// How many reports went with their intents.
    pub reports: u64,
    /// How many hosts went that were not heard of for as long.
    #[serde(default)]
    pub hosts: u64,
}

/// Compares what KV has with what the hub has put there.
pub fn compare(known: Known, in_kv: Option<&str>, now_ms: u64) -> Finding {
    let ours = known.numbers;
    if !mailbox::is_credible(ours.epoch, now_ms) {
        return Finding::Incredible;
    }
    let in_kv = in_kv.and_then(|json| serde_json::from_str::<InKv>(json).ok());
    let in_kv = in_kv.filter(|there| mailbox::is_credible(there.epoch, now_ms));
    if let Some(there) = &in_kv
        && (there.epoch, there.head) > (ours.epoch, ours.head)
    {
        return Finding::Overtaken(there.epoch.saturating_add(1));
    }
    let settled = u128::from(now_ms.saturating_sub(known.newest_ms)) >= SETTLED.as_millis();
    // What is due the alarm puts anyway.
    if known.written < ours.head || !settled {
        return Finding::Fine;
    }
    let right = in_kv.is_some_and(|there| (there.epoch, there.head) == (ours.epoch, ours.head));
    if right { Finding::Fine } else { Finding::Lost }
}

/// The newest `seq` of a channel that may go for its age: the mailbox's window stays, however old.
pub fn newest_prunable(head: u64) -> u64 {
    head.saturating_sub(MAILBOX_WINDOW as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn known() -> Known {
        Known {
            numbers: Numbers {
                epoch: 7,
                head: 20,
                pruned_before: 0,
            },
            written: 20,
            newest_ms: 0,
        }
    }

    fn found(epoch: u64, head: u64) -> Finding {
        let json = format!(r#"{{"epoch": {epoch}, "head": {head}, "intents": []}}"#);
        compare(known(), Some(&json), HOUR)
    }

    #[test]
    fn a_mailbox_that_is_missing_older_or_broken_is_put_again() {
        assert_eq!(found(7, 20), Finding::Fine);
        assert_eq!(found(7, 19), Finding::Lost);
        assert_eq!(found(6, 99), Finding::Lost);
        assert_eq!(compare(known(), None, HOUR), Finding::Lost);
        assert_eq!(compare(known(), Some("{"), HOUR), Finding::Lost);
    }

    #[test]
    fn what_kv_shows_right_after_an_intent_proves_nothing() {
        let soon = 599_999;
        assert_eq!(compare(known(), None, soon), Finding::Fine);
        assert_eq!(compare(known(), None, soon + 1), Finding::Lost);
        let ahead = Known {
            newest_ms: 2 * HOUR,
            ..known()
        };
        assert_eq!(compare(ahead, None, HOUR), Finding::Fine);
    }

    #[test]
    fn what_is_due_is_left_to_the_alarm() {
        let due = Known {
            written: 19,
            ..known()
        };
        assert_eq!(compare(due, None, HOUR), Finding::Fine);
    }

    #[test]
    fn numbers_that_pollers_may_have_seen_beyond_ours_need_a_higher_epoch_at_once() {
        assert_eq!(found(7, 21), Finding::Overtaken(8));
        assert_eq!(found(900, 1), Finding::Overtaken(901));
        let json = r#"{"epoch": 900}"#;
        assert_eq!(compare(known(), Some(json), 0), Finding::Overtaken(901));
    }

    #[test]
    fn an_epoch_that_no_host_believes_in_is_not_followed_into_the_future() {
        let (now, week) = (HOUR, mailbox::CREDIBLE_MS);
        assert_eq!(found(now + week, 1), Finding::Overtaken(now + week + 1));
        assert_eq!(found(now + week + 1, 1), Finding::Lost);
        assert_eq!(found(u64::MAX, 1), Finding::Lost);
    }

    #[test]
    fn an_epoch_of_ours_that_no_host_believes_in_is_put_over_nothing() {
        let mut ours = known();
        ours.numbers.epoch = HOUR + mailbox::CREDIBLE_MS + 1;
        for in_kv in [None, Some("{"), Some(r#"{"epoch": 7, "head": 20}"#)] {
            assert_eq!(compare(ours, in_kv, HOUR), Finding::Incredible);
            assert_ne!(compare(ours, in_kv, HOUR + 1), Finding::Incredible);
        }
    }

    #[test]
    fn the_window_never_goes_for_its_age() {
        assert_eq!(newest_prunable(20), 4);
        assert_eq!(newest_prunable(16), 0);
        assert_eq!(newest_prunable(3), 0);
    }
}
