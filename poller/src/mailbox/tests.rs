//! What is taken out of a mailbox, story by story, and a search over answers in any order.

use std::collections::BTreeSet;

use proptest::prelude::*;
use towline_protocol::{IntentId, MAILBOX_WINDOW, Mailbox};

use super::*;
use crate::testing::intent;

fn read(channel: &Channel, mark: Option<Mark>, known: &[Intent], news: ChannelNews) -> Reading {
    super::read(channel, mark, known, news, &BTreeSet::new())
}

#[test]
fn an_intent_that_is_not_understood_is_not_waited_for() {
    let unreadable = BTreeSet::from([4, 6, 99]);
    let answer = news(7, 6, &[5]);
    let reading = super::read(&channel(), at(7, 3), &[], answer.clone(), &unreadable);
    assert_eq!(
        (seqs(&reading), Some(reading.mark), reading.gap),
        (vec![5], at(7, 6), false)
    );
    let new = super::read(&channel(), None, &[], answer, &unreadable);
    assert_eq!((Some(new.mark), new.gap), (at(7, 6), false));
}

#[test]
fn what_is_kept_is_bounded_and_a_gap_is_still_filled_when_it_is_full() {
    let many: Vec<_> = (100..3000).collect();
    let first = read(&channel(), at(7, 3), &[], news(7, 1 << 60, &many));
    assert_eq!(
        (first.received.len(), first.gap, first.full),
        (ROOM, true, true)
    );
    let filling: Vec<_> = (4..100).collect();
    let known = &first.received;
    let second = read(
        &channel(),
        Some(first.mark),
        known,
        news(7, 1 << 60, &filling),
    );
    assert_eq!(Some(second.mark), at(7, 99 + ROOM as u64));
    let in_order: Vec<_> = (4..3000).collect();
    let third = read(&channel(), at(7, 3), &[], news(7, 2999, &in_order));
    assert_eq!(
        (third.received.len(), Some(third.mark), third.full),
        (2 * ROOM, at(7, 3 + ROOM as u64), true)
    );
}

#[test]
fn a_hub_from_the_far_future_is_not_credible() {
    let now: Timestamp = "2026-11-20T15:00:00Z".parse().unwrap();
    let of = |epoch| is_credible(&news(epoch, 1, &[]), now);
    let epoch = now.as_millisecond().unsigned_abs();
    let day = 24 * 60 * 60 * 1000;
    assert!(of(0) && of(epoch) && of(epoch + day));
    assert!(!of(epoch + 8 * day) && !of(u64::MAX));
}

fn channel() -> Channel {
    "octo-org/web".parse().unwrap()
}

fn news(epoch: u64, head: u64, seqs: &[u64]) -> ChannelNews {
    ChannelNews {
        epoch,
        head,
        pruned_before: 0,
        intents: seqs.iter().map(|seq| intent(epoch, *seq)).collect(),
    }
}

fn at(epoch: u64, seq: u64) -> Option<Mark> {
    Some(Mark { epoch, seq })
}

fn seqs(reading: &Reading) -> Vec<u64> {
    reading.received.iter().map(|intent| intent.seq).collect()
}

#[test]
fn what_is_newer_is_received_and_the_mark_moves_to_it() {
    let reading = read(&channel(), at(7, 3), &[], news(7, 5, &[4, 5]));
    assert_eq!(
        (seqs(&reading), Some(reading.mark), reading.gap),
        (vec![4, 5], at(7, 5), false)
    );
}

#[test]
fn an_older_answer_changes_nothing() {
    for old in [news(7, 2, &[1, 2]), news(6, 99, &[98, 99]), news(0, 0, &[])] {
        let reading = read(&channel(), at(7, 3), &[], old);
        assert_eq!(
            (seqs(&reading), Some(reading.mark), reading.gap),
            (vec![], at(7, 3), false)
        );
    }
}

#[test]
fn a_gap_holds_the_mark_until_the_hub_has_filled_it() {
    let first = read(&channel(), at(7, 3), &[], news(7, 9, &[8, 9]));
    assert_eq!(
        (seqs(&first), Some(first.mark), first.gap),
        (vec![8, 9], at(7, 3), true)
    );
    let second = read(
        &channel(),
        Some(first.mark),
        &first.received,
        news(7, 9, &[4, 5, 6, 7, 8, 9]),
    );
    assert_eq!(
        (seqs(&second), Some(second.mark), second.gap),
        (vec![4, 5, 6, 7], at(7, 9), false)
    );
}

#[test]
fn what_the_relay_has_pruned_is_not_waited_for() {
    let pruned = ChannelNews {
        pruned_before: 8,
        ..news(7, 9, &[8, 9])
    };
    let reading = read(&channel(), at(7, 3), &[], pruned);
    assert_eq!((Some(reading.mark), reading.gap), (at(7, 9), false));
}

#[test]
fn a_new_reader_begins_with_the_window_and_one_who_listened_misses_nothing() {
    let new = read(&channel(), None, &[], news(7, 40, &[39, 40]));
    assert_eq!(
        (seqs(&new), Some(new.mark), new.gap),
        (vec![39, 40], at(7, 40), false)
    );
    let listened = read(&channel(), None, &[], news(0, 0, &[]));
    assert_eq!(listened.mark, Mark::NONE);
    let later = read(&channel(), Some(listened.mark), &[], news(7, 40, &[39, 40]));
    assert_eq!((Some(later.mark), later.gap), (at(7, 0), true));
}

#[test]
fn a_new_epoch_begins_anew_and_a_known_intent_stays_known() {
    let mut again = news(8, 2, &[1, 2]);
    let known = intent(7, 3);
    again.intents[0].id = known.id.clone();
    let reading = read(&channel(), at(7, 3), &[known], again);
    assert_eq!(
        (seqs(&reading), Some(reading.mark), reading.gap),
        (vec![2], at(8, 2), false)
    );
}

#[test]
fn an_intent_of_another_channel_epoch_or_number_is_not_taken() {
    let mut strange = news(7, 5, &[4, 5, 9]);
    strange.intents[0].channel = "octo-org/other".parse().unwrap();
    strange.intents[1].epoch = 6;
    let reading = read(&channel(), at(7, 3), &[], strange);
    assert_eq!(
        (seqs(&reading), Some(reading.mark), reading.gap),
        (vec![], at(7, 3), true)
    );
}

/// What the relay may do next: queue intents, be recreated, or answer.
#[derive(Clone, Debug)]
enum Turn {
    Queue(u8),
    NewHub,
    /// The mailbox as it was that many versions ago (KV may be behind).
    Poll {
        versions_ago: usize,
    },
    Fresh,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (1u8..30).prop_map(Turn::Queue),
        1 => Just(Turn::NewHub),
        8 => (0usize..6).prop_map(|versions_ago| Turn::Poll { versions_ago }),
        2 => Just(Turn::Fresh),
    ]
}

/// The relay as the contract has it: a hub with everything, and old versions of the mailbox.
struct Relay {
    epoch: u64,
    all: Vec<Intent>,
    versions: Vec<ChannelNews>,
}

impl Relay {
    fn publish(&mut self) {
        let head = self.all.len() as u64;
        let window = self.all[self.all.len().saturating_sub(MAILBOX_WINDOW)..].to_vec();
        self.versions.push(ChannelNews {
            epoch: self.epoch,
            head,
            pruned_before: 0,
            intents: window,
        });
    }

    fn queue(&mut self, count: u8) {
        for _ in 0..count {
            self.all.push(intent(self.epoch, self.all.len() as u64 + 1));
            self.publish();
        }
    }

    fn begin_anew(&mut self) {
        self.epoch += 1;
        self.all.clear();
        self.publish();
    }

    /// The mark of a reader who has everything.
    fn end(&self) -> Mark {
        Mark {
            epoch: self.versions.last().unwrap().epoch,
            seq: self.all.len() as u64,
        }
    }

    fn answer(&self, versions_ago: usize, mark: Mark) -> ChannelNews {
        let version = self.versions[self.versions.len().saturating_sub(1 + versions_ago)].clone();
        Mailbox {
            epoch: version.epoch,
            head: version.head,
            pruned_before: 0,
            intents: version.intents,
            written_at: jiff::Timestamp::UNIX_EPOCH,
        }
        .since(mark)
    }

    fn fresh(&self, mark: Mark) -> ChannelNews {
        let from = if mark.epoch == self.epoch {
            mark.seq as usize
        } else {
            0
        };
        // The hub answers up to 1 MiB; seven stand for that here.
        let intents = self.all[from..].iter().take(7).cloned().collect();
        ChannelNews {
            epoch: self.epoch,
            head: self.all.len() as u64,
            pruned_before: 0,
            intents,
        }
    }
}

proptest! {
    #[test]
    fn whatever_answers_come_nothing_is_lost_or_taken_twice_and_no_mark_steps_back(
        turns in proptest::collection::vec(turn(), 1..60)
    ) {
        let mut relay = Relay { epoch: 1, all: vec![], versions: vec![ChannelNews::default()] };
        let (mut mark, mut known) = (Mark::NONE, Vec::<Intent>::new());
        let most = 30 * turns.len();
        for turn in turns.into_iter().chain(std::iter::repeat_n(Turn::Fresh, most)) {
            let answer = match turn {
                Turn::Queue(count) => { relay.queue(count); continue }
                Turn::NewHub => { relay.begin_anew(); continue }
                Turn::Poll { versions_ago } => relay.answer(versions_ago, mark),
                Turn::Fresh if mark == relay.end() => continue,
                Turn::Fresh => relay.fresh(mark),
            };
            let reading = read(&channel(), Some(mark), &known, answer);
            prop_assert!(reading.mark >= mark);
            mark = reading.mark;
            known.extend(reading.received);
            let below = known.iter().filter(|one| one.epoch == mark.epoch && one.seq <= mark.seq);
            prop_assert_eq!(below.count() as u64, mark.seq, "the mark crossed a gap, or one was taken twice");
        }
        let ids: BTreeSet<&IntentId> = known.iter().map(|intent| &intent.id).collect();
        prop_assert_eq!(ids.len(), known.len(), "taken twice");
        let held = known.iter().filter(|intent| intent.epoch == relay.epoch).count();
        prop_assert_eq!(held, relay.all.len(), "lost");
    }

    #[test]
    fn no_answer_makes_it_panic(
        mark in proptest::option::of((0u64.., 0u64..)),
        numbers in (0u64.., 0u64.., 0u64..),
        seqs in proptest::collection::vec(0u64.., 0..5),
        unreadable in proptest::collection::btree_set(0u64.., 0..3),
    ) {
        let mark = mark.map(|(epoch, seq)| Mark { epoch, seq });
        let (epoch, head, pruned_before) = numbers;
        let answer = ChannelNews { pruned_before, ..news(epoch, head, &seqs) };
        let reading = super::read(&channel(), mark, &[], answer, &unreadable);
        prop_assert!(mark.is_none_or(|mark| reading.mark >= mark));
    }
}
