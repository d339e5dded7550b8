//! What a poll's answer for one channel means, given how far the channel was read. Pure.
//!
//! Answers may be old (KV), repeated, or begin after a gap. Whatever comes in whatever order: no intent is lost, none
//! is taken twice, the mark never steps back and never moves across a gap that the relay could still fill.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use towline_protocol::{Channel, ChannelNews, Intent, Mark};

/// How far a hub's clock may be ahead of this host's: an epoch is the time when the hub was made.
const CLOCKS_APART: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many intents of a channel are kept before the mark, and how many behind a gap, whatever the relay sends. What
/// is left out lies behind the mark, so that it is asked for again.
pub const ROOM: usize = 1024;

/// What to keep of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Intents that were not known, ascending by number.
    pub received: Vec<Intent>,
    /// How far the channel is read without a gap.
    pub mark: Mark,
    /// Whether intents behind the mark are still missing; the hub has them (`fresh=1`).
    pub gap: bool,
    /// Whether intents were left out because too many are kept already.
    pub full: bool,
}

/// Whether an answer can bring anything to a reader at `mark`; `None` is a reader who never had an answer.
pub fn brings_anything(mark: Option<Mark>, news: &ChannelNews) -> bool {
    mark.is_none_or(|mark| (news.epoch, news.head) > (mark.epoch, mark.seq))
}

/// Whether an answer may be a hub's: a mark in an epoch from the far future would never be left again.
pub fn is_credible(news: &ChannelNews, now: Timestamp) -> bool {
    let latest = now
        .saturating_add(CLOCKS_APART)
        .map_or(i64::MAX, Timestamp::as_millisecond);
    i64::try_from(news.epoch).is_ok_and(|epoch| epoch <= latest)
}

/// Reads an answer; `known` are the intents of `channel` that were received before, `unreadable` the numbers of those
/// in the answer that are not understood: they count as received.
///
/// A reader without a mark begins with the window that it is shown, one with a mark misses nothing. When the hub has
/// begun a new epoch, its numbers begin anew.
pub fn read(
    channel: &Channel,
    mark: Option<Mark>,
    known: &[Intent],
    news: ChannelNews,
    unreadable: &BTreeSet<u64>,
) -> Reading {
    if !brings_anything(mark, &news) {
        let mark = mark.unwrap_or_default();
        return Reading {
            mark,
            ..Reading::default()
        };
    }
    let (epoch, head) = (news.epoch, news.head);
    let mut arrived: BTreeMap<u64, Intent> = news
        .intents
        .into_iter()
        .filter(|intent| {
            intent.channel == *channel && intent.epoch == epoch && (1..=head).contains(&intent.seq)
        })
        .map(|intent| (intent.seq, intent))
        .collect();
    let begin = match mark {
        Some(mark) if mark.epoch == epoch => mark.seq,
        Some(_) => 0,
        None => {
            let unreadable = unreadable.iter().filter(|seq| (1..=head).contains(*seq));
            let first = arrived.keys().chain(unreadable).min();
            first.map_or(head, |first| first.saturating_sub(1))
        }
    };
    // What the relay has pruned cannot be waited for.
    let begin = begin.max(news.pruned_before.saturating_sub(1).min(head));
    let ids: BTreeSet<_> = known.iter().map(|intent| &intent.id).collect();
    let mut held: BTreeSet<u64> = known
        .iter()
        .filter(|intent| intent.epoch == epoch)
        .map(|intent| intent.seq)
        .collect();
    let newest = held.last().copied().unwrap_or_default().max(head);
    held.extend(unreadable.range(..=head));
    let seen = |intent: &Intent| ids.contains(&intent.id);
    held.extend(arrived.values().filter(|one| seen(one)).map(|one| one.seq));
    arrived.retain(|seq, intent| *seq > begin && !seen(intent));
    let behind = held_behind(begin, epoch, known);
    let mut reading = Reading {
        mark: Mark {
            epoch,
            seq: contiguous(begin, &held),
        },
        ..Reading::default()
    };
    let mut in_order = ROOM.saturating_sub(known.len() - behind);
    let mut behind_gap = ROOM.saturating_sub(behind);
    for (seq, intent) in arrived {
        let is_next = Some(seq) == reading.mark.seq.checked_add(1);
        let room = if is_next {
            &mut in_order
        } else {
            &mut behind_gap
        };
        if *room == 0 {
            reading.full = true;
            continue;
        }
        *room -= 1;
        held.insert(seq);
        reading.received.push(intent);
        reading.mark.seq = contiguous(reading.mark.seq, &held);
    }
    reading.gap = reading.mark.seq < newest;
    reading
}

/// How many of `known` lie behind a gap after `begin`.
fn held_behind(begin: u64, epoch: u64, known: &[Intent]) -> usize {
    let is_behind = |one: &&Intent| one.epoch == epoch && one.seq > begin;
    known.iter().filter(is_behind).count()
}

/// The last number after `begin` that is reached without a gap.
fn contiguous(begin: u64, held: &BTreeSet<u64>) -> u64 {
    let mut last = begin;
    while let Some(next) = last.checked_add(1).filter(|next| held.contains(next)) {
        last = next;
    }
    last
}

#[cfg(test)]
mod tests {
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
            let version =
                self.versions[self.versions.len().saturating_sub(1 + versions_ago)].clone();
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
}
