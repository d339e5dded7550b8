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
mod tests;
