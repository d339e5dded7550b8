//! What goes for its age and what stays, on SQLite itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use towline_protocol::{HostName, IntentId, Mark, Polled};

use super::*;
use crate::{
    hub::ask::Committed,
    mailbox::Room,
    testing::{candidate, store},
};

const WEB: &str = "octo-org/web";

fn commit(store: &Store, channel: &str, number: u64, at_ms: u64) -> Committed {
    let candidate = candidate(channel, &format!("{channel} run {number}"));
    let at = Timestamp::from_millisecond(i64::try_from(at_ms).unwrap()).unwrap();
    store.commit(candidate, 1000, at).unwrap()
}

/// A channel with intents 1 to `count`, number N committed at N hundred milliseconds.
fn with_intents(count: u64) -> Store {
    let store = store();
    for number in 1..=count {
        commit(&store, WEB, number, number * 100);
    }
    store
}

fn all(store: &Store) -> (u64, Vec<u64>) {
    let channel: Channel = WEB.parse().unwrap();
    let marks = BTreeMap::from([(channel.clone(), Mark::default())]);
    let Polled { channels } = store.since(&marks, Room::new(1)).unwrap();
    let news = &channels[&channel];
    let seqs = news.intents.iter().map(|intent| intent.seq).collect();
    (news.pruned_before, seqs)
}

fn report(store: &Store, intent: &IntentId, host: &str, at_ms: u64) {
    let json = format!(
        r#"{{"intent": "{intent}", "attempt": 1, "outcome": "succeeded", "started_at": "2026-11-20T15:00:00Z"}}"#
    );
    let host: HostName = host.parse().unwrap();
    let reports = [serde_json::from_str(&json).unwrap()];
    let everything = [towline_protocol::Glob::new("*")];
    let kept = store.keep(&host, &everything, &reports, at_ms).unwrap();
    assert_eq!(kept.accepted, 1);
}

fn reports(store: &Store) -> u64 {
    let row = store.row("SELECT count(*) FROM report", vec![]).unwrap();
    int(&row.unwrap(), 0).unwrap()
}

#[test]
fn old_intents_go_from_the_oldest_on_and_the_channel_says_so() {
    let store = with_intents(30);
    assert_eq!(store.prune_intents(600, 3000).unwrap(), 5);
    assert_eq!(all(&store), (6, (6..=30).collect()));
    assert_eq!(store.prune_intents(600, 3000).unwrap(), 0);
}

#[test]
fn the_newest_sixteen_stay_however_old_they_are() {
    let store = with_intents(30);
    assert_eq!(store.prune_intents(u64::from(u32::MAX), 3000).unwrap(), 14);
    assert_eq!(all(&store), (15, (15..=30).collect()));
}

#[test]
fn a_number_that_went_is_not_given_out_again() {
    let store = with_intents(30);
    store.prune_intents(u64::from(u32::MAX), 3000).unwrap();
    assert_eq!(commit(&store, WEB, 31, 5000).seq, 31);
}

#[test]
fn a_cause_is_known_as_long_as_its_intent() {
    let store = with_intents(30);
    store.prune_intents(600, 3000).unwrap();
    assert!(commit(&store, WEB, 6, 9000).duplicate);
    assert!(!commit(&store, WEB, 5, 9000).duplicate);
}

#[test]
fn a_run_deletes_no_more_than_it_may_and_the_next_one_goes_on() {
    let store = with_intents(30);
    for number in 1..=20 {
        commit(&store, "octo-org/api", number, 100);
    }
    let gone: Vec<_> = (0..4)
        .map(|_| store.prune_intents(u64::from(u32::MAX), 18).unwrap())
        .collect();
    assert_eq!(gone, [6, 6, 6, 0]);
}

#[test]
fn reports_go_once_they_are_old_and_nobody_can_ask_for_them() {
    let store = with_intents(30);
    let id = |number: u64| IntentId::of_key(&format!("{WEB} run {number}"));
    report(&store, &id(1), "pi", 100);
    report(&store, &id(1), "late", 700);
    report(&store, &id(30), "pi", 100);
    report(&store, &IntentId::of_key("of another hub"), "pi", 100);
    report(&store, &IntentId::of_key("not known yet"), "pi", 700);
    store.prune_intents(600, 3000).unwrap();
    assert_eq!(store.prune_reports(600, 100).unwrap(), 2);
    assert_eq!(reports(&store), 3);
    assert_eq!(
        store
            .status(&id(30), Timestamp::UNIX_EPOCH, |_| None)
            .unwrap()
            .unwrap()
            .hosts
            .len(),
        1
    );
}

#[test]
fn the_round_through_the_reports_comes_to_each_of_them_in_bounded_runs() {
    let store = store();
    let more = REPORTS_A_RUN + 10;
    for number in 0..more {
        let host = format!("pi-{}", number / 100);
        report(&store, &IntentId::of_key(&number.to_string()), &host, 100);
    }
    assert_eq!(store.prune_reports(600, 4000).unwrap(), 4000);
    let second = store.prune_reports(600, 4000).unwrap();
    assert_eq!(second, more - 4000, "the rest of the page is found again");
    report(&store, &IntentId::of_key("another"), "pi", 100);
    assert_eq!(
        store.prune_reports(600, 4000).unwrap(),
        1,
        "a round begins anew"
    );
    assert_eq!(reports(&store), 0);
}

#[test]
fn the_round_through_the_mailboxes_comes_to_each_channel() {
    let store = store();
    for channel in ["octo-org/a", "octo-org/b", "octo-org/c"] {
        commit(&store, channel, 1, 700);
    }
    let names = || -> Vec<String> {
        let next = store.next_mailboxes(2).unwrap();
        assert!(
            next.iter()
                .all(|(_, known)| known.newest_ms == 700 && known.written == 0)
        );
        let last = next.last().filter(|_| next.len() == 2);
        store.compared(last.map(|(channel, _)| channel)).unwrap();
        next.iter()
            .map(|(channel, _)| channel.to_string())
            .collect()
    };
    assert_eq!(names(), ["octo-org/a", "octo-org/b"]);
    assert_eq!(names(), ["octo-org/c"]);
    assert_eq!(names(), ["octo-org/a", "octo-org/b"]);
}

#[test]
fn mailboxes_that_were_not_compared_stay_the_next_ones() {
    let store = store();
    for channel in ["octo-org/a", "octo-org/b", "octo-org/c"] {
        commit(&store, channel, 1, 700);
    }
    let next = || store.next_mailboxes(2).unwrap();
    assert_eq!(next(), next());
    let (first, _) = next().remove(0);
    store.compared(Some(&first)).unwrap();
    let names: Vec<_> = next()
        .into_iter()
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(names, ["octo-org/b", "octo-org/c"]);
}

#[test]
fn a_raised_epoch_is_that_of_the_channel_and_of_all_its_intents() {
    let store = with_intents(3);
    let channel: Channel = WEB.parse().unwrap();
    store.written(&channel, 3).unwrap();
    store.raise_epoch(&channel, 1_795_186_000_001).unwrap();
    assert!(store.is_due(&channel).unwrap());
    let mailbox = store
        .due_mailbox(&channel, Timestamp::UNIX_EPOCH)
        .unwrap()
        .unwrap();
    assert_eq!((mailbox.epoch, mailbox.head), (1_795_186_000_001, 3));
    assert!(
        mailbox
            .intents
            .iter()
            .all(|intent| intent.epoch == mailbox.epoch)
    );
    let marks = BTreeMap::from([(channel.clone(), Mark::default())]);
    let polled = store.since(&marks, Room::new(1)).unwrap();
    let rung = store.unheard(&marks).unwrap();
    let alone = store.intent(&rung[0].id).unwrap();
    let everywhere = polled.channels[&channel].intents.iter();
    let everywhere: Vec<_> = everywhere.chain(&rung).chain(&alone).collect();
    assert_eq!(everywhere.len(), 3 + 3 + 1);
    assert!(
        everywhere
            .iter()
            .all(|intent| intent.epoch == mailbox.epoch)
    );
    assert_eq!(commit(&store, WEB, 4, 700).seq, 4);
}
