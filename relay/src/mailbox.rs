//! The mailbox's arithmetic: its window, what an asker has not seen, how much fits into one answer. What
//! is read and written where is the hub's and [`crate::kv`]'s, when it is written [`crate::pace`]'s.

use jiff::Timestamp;
use serde::Deserialize;
use thiserror::Error;
use towline_protocol::{Intent, MAILBOX_WINDOW, MAX_ANSWER, Mailbox, Mark, Polled};

/// How far an epoch may be ahead of the clock for a host to believe in it, in milliseconds: as in the poller.
pub const CREDIBLE_MS: u64 = 7 * 86_400_000;

/// The numbers of one channel, as the hub keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The channel's epoch.
    pub epoch: u64,
    /// The newest `seq` that was given out.
    pub head: u64,
    /// Intents below this are gone.
    pub pruned_before: u64,
}

/// The mailbox of a channel whose newest intents are `newest_first`.
pub fn compose(numbers: Numbers, newest_first: Vec<Intent>, now: Timestamp) -> Mailbox {
    let mut intents = newest_first;
    intents.truncate(MAILBOX_WINDOW);
    intents.reverse();
    Mailbox {
        epoch: numbers.epoch,
        head: numbers.head,
        pruned_before: numbers.pruned_before,
        intents,
        written_at: now,
    }
}

/// The epoch of a channel that this hub uses for the first time.
///
/// It is the hub's creation time, unless the mailbox was left by another hub with as high an epoch:
/// then it is one more, so that pollers do not take the new numbers for stale ones.
///
/// # Errors
/// When what was left is so far in the future that no host believes in it: nor would it in what is above.
pub fn first_epoch(
    hub_created_ms: u64,
    left_behind: Option<LeftBehind>,
    now_ms: u64,
) -> Result<u64, Incredible> {
    let Some(LeftBehind { epoch }) = left_behind else {
        return Ok(hub_created_ms);
    };
    if !is_credible(epoch, now_ms) {
        return Err(Incredible { epoch });
    }
    Ok(hub_created_ms.max(epoch.saturating_add(1)))
}

/// Whether a host believes that a hub has numbered in this epoch.
pub fn is_credible(epoch: u64, now_ms: u64) -> bool {
    epoch <= now_ms.saturating_add(CREDIBLE_MS)
}

/// A mailbox that no hub with a right clock has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a mailbox of epoch {epoch}, which is more than 7 days ahead of the clock")]
pub struct Incredible {
    /// Its epoch.
    pub epoch: u64,
}

/// A mailbox of another hub, maybe of another version's: only its epoch is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct LeftBehind {
    /// The epoch that pollers may have seen.
    pub epoch: u64,
}

/// The `seq` above which a channel's intents are news to an asker; `None` when none can be, because
/// the asker has seen a later epoch.
pub fn news_above(mark: Mark, epoch: u64) -> Option<u64> {
    match mark.epoch.cmp(&epoch) {
        std::cmp::Ordering::Less => Some(0),
        std::cmp::Ordering::Equal => Some(mark.seq),
        std::cmp::Ordering::Greater => None,
    }
}

/// Keeps a prefix of each channel's news such that the answer stays under its cap.
///
/// Cutting at the end leaves no gap: a caller asks again from the last `seq` it got.
pub fn fit(mut polled: Polled) -> Polled {
    let mut room = Room::new(polled.channels.len());
    for news in polled.channels.values_mut() {
        let full = news
            .intents
            .iter()
            .position(|intent| !room.take_intent(intent));
        news.intents.truncate(full.unwrap_or(news.intents.len()));
    }
    polled
}

/// How many bytes of an answer are left.
#[derive(Clone, Copy, Debug)]
pub struct Room(usize);

impl Room {
    /// What is left for intents in an answer about so many channels.
    pub fn new(channels: usize) -> Self {
        // A name of 201 bytes, three numbers of 20 digits, the field names.
        const OF_A_CHANNEL: usize = 400;
        Self(MAX_ANSWER.saturating_sub(OF_A_CHANNEL.saturating_mul(channels.saturating_add(1))))
    }

    /// Takes the room of an intent of so many bytes of JSON; `false` when there is too little, and
    /// then there is none for anything after it either.
    pub fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes.saturating_add(1));
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    fn take_intent(&mut self, intent: &Intent) -> bool {
        serde_json::to_string(intent).is_ok_and(|json| self.take(json.len()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use towline_protocol::{ChannelNews, IntentId, Revision, Source};

    use super::*;

    fn intent(seq: u64, reason: &str) -> Intent {
        Intent {
            id: IntentId::of_key(&seq.to_string()),
            channel: "octo-org/web".parse().unwrap(),
            epoch: 7,
            seq,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            source: Source::Manual {
                by: "ops".to_owned(),
                reason: reason.to_owned(),
            },
            revision: Revision::default(),
            image: None,
            service: None,
            hosts: Vec::new(),
        }
    }

    fn mailbox(head: u64) -> Mailbox {
        let numbers = Numbers {
            epoch: 7,
            head,
            pruned_before: 0,
        };
        let newest_first = (1..=head).rev().map(|seq| intent(seq, "")).collect();
        compose(numbers, newest_first, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_first_epoch_is_above_what_another_hub_left_behind() {
        let after = |left: Option<u64>| {
            let left = left.map(|epoch| LeftBehind { epoch });
            first_epoch(100, left, 4000).unwrap()
        };
        assert_eq!(after(None), 100);
        assert_eq!(after(Some(7)), 100);
        assert_eq!(after(Some(100)), 101);
        assert_eq!(after(Some(5000)), 5001);
    }

    #[test]
    fn what_no_host_believes_in_is_not_followed_on_a_channels_first_use() {
        let after = |epoch| first_epoch(100, Some(LeftBehind { epoch }), 4000);
        assert_eq!(after(4000 + CREDIBLE_MS), Ok(4001 + CREDIBLE_MS));
        for epoch in [4001 + CREDIBLE_MS, 1 << 53, u64::MAX] {
            assert_eq!(after(epoch), Err(Incredible { epoch }));
        }
        let told = Incredible { epoch: 9 }.to_string();
        assert!(
            told.contains("epoch 9") && told.contains("7 days"),
            "{told}"
        );
    }

    #[test]
    fn an_answer_that_would_be_too_large_is_cut_at_the_end_and_nowhere_else() {
        let large = "x".repeat(40_000);
        let news = ChannelNews {
            epoch: 7,
            head: 60,
            pruned_before: 0,
            intents: (1..=60).map(|seq| intent(seq, &large)).collect(),
        };
        let one: towline_protocol::Channel = "octo-org/api".parse().unwrap();
        let two = "octo-org/web".parse().unwrap();
        let polled = fit(Polled {
            channels: [(one.clone(), news.clone()), (two, news)].into(),
        });
        assert!(serde_json::to_string(&polled).unwrap().len() <= MAX_ANSWER);
        let kept: Vec<_> = polled.channels[&one]
            .intents
            .iter()
            .map(|i| i.seq)
            .collect();
        assert!(kept.len() > 20 && kept.iter().copied().eq(1..=kept.len() as u64));
        assert!(polled.channels.values().all(|news| news.head == 60));
    }

    proptest! {
        #[test]
        fn the_window_holds_the_newest_in_order(head in 0u64..60) {
            let seqs: Vec<_> = mailbox(head).intents.iter().map(|intent| intent.seq).collect();
            let first = head.saturating_sub(MAILBOX_WINDOW as u64) + 1;
            prop_assert!(seqs.iter().copied().eq(first..=head));
        }

        #[test]
        fn a_poll_returns_exactly_what_is_newer_than_the_mark(
            head in 0u64..40, epoch in 6u64..9, seq in 0u64..50,
        ) {
            let mark = Mark { epoch, seq };
            let window = mailbox(head);
            let expected: Vec<_> = match news_above(mark, 7) {
                None => Vec::new(),
                Some(above) => window.intents.iter().map(|i| i.seq).filter(|seq| *seq > above).collect(),
            };
            let news = window.since(mark);
            prop_assert_eq!(news.intents.iter().map(|i| i.seq).collect::<Vec<_>>(), expected);
            prop_assert_eq!((news.epoch, news.head), (7, head));
        }
    }
}
