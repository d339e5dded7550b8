use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use jiff::Timestamp;
use tempfile::TempDir;
use towline_protocol::{Channel, Intent, Mark, Outcome, Report, ServiceName, Side};

use super::*;
use crate::{report::blank, select::Seen, testing::intent};

fn channel() -> Channel {
    "octo-org/web".parse().unwrap()
}

fn web() -> ServiceName {
    "web".parse().unwrap()
}

fn report(seq: u64, outcome: Outcome) -> Report {
    blank(intent(7, seq).id, &web(), 1, outcome, Timestamp::UNIX_EPOCH)
}

fn at(seq: u64) -> Mark {
    Mark { epoch: 7, seq }
}

fn entry(deploy: &str, body: &str) -> JournalEntry {
    JournalEntry {
        deploy: deploy.to_owned(),
        service: web(),
        intent: intent(7, 1).id,
        attempt: 1,
        body: body.to_owned(),
    }
}

/// A store with something in every table, closed again.
fn filled() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store
        .receive(&channel(), at(2), &[intent(7, 2), intent(7, 1)])
        .unwrap();
    let seen = Seen {
        channel: Some(channel()),
        newest: at(2),
        runs: vec![],
    };
    store
        .settle(&web(), &seen, &[report(1, Outcome::Superseded)])
        .unwrap();
    store.write_journal(&entry("0a0a0a0a", "{}")).unwrap();
    dir
}

#[test]
fn everything_is_there_again_after_opening_again() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.mark(&channel()).unwrap(), Some(at(2)));
    assert_eq!(
        store.intents(&channel()).unwrap(),
        [intent(7, 1), intent(7, 2)]
    );
    assert_eq!(store.seen(&web()).unwrap().unwrap().newest, at(2));
    let standings = store.standings(&web()).unwrap();
    assert_eq!(standings[&intent(7, 1).id].outcome, Outcome::Superseded);
    assert_eq!(store.open_journals().unwrap(), [entry("0a0a0a0a", "{}")]);
    let done = report(2, Outcome::Succeeded);
    let running = Running {
        side: Side::default(),
        intent: done.intent.clone(),
        since: Timestamp::UNIX_EPOCH,
    };
    store
        .close_journal("0a0a0a0a", &done, Some(&running))
        .unwrap();
    assert_eq!(store.open_journals().unwrap(), []);
    assert_eq!(store.running(&web()).unwrap(), Some(running));
    let spooled = store.spooled(10).unwrap();
    assert_eq!(
        spooled.iter().map(|one| &one.report).collect::<Vec<_>>(),
        [&report(1, Outcome::Superseded), &done]
    );
}

#[test]
fn a_service_or_channel_whose_name_begins_alike_is_another() {
    let dir = filled();
    let store = Store::open(dir.path()).unwrap();
    assert!(store.standings(&"we".parse().unwrap()).unwrap().is_empty());
    assert!(
        store
            .intents(&"octo-org/we".parse().unwrap())
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.mark(&"octo-org/we".parse().unwrap()).unwrap(), None);
}

#[test]
fn the_acknowledgement_of_an_earlier_phase_does_not_remove_the_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store
        .close_journal("0", &report(1, Outcome::Waiting), None)
        .unwrap();
    let sent = store.spooled(10).unwrap();
    store
        .close_journal("1", &report(1, Outcome::Succeeded), None)
        .unwrap();
    store.acknowledge(&[sent[0].id]).unwrap();
    let left = store.spooled(10).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].report.outcome, Some(Outcome::Succeeded));
    store.park(left[0].id, "refused").unwrap();
    assert_eq!(
        (store.spooled(10).unwrap().len(), store.parked().unwrap()),
        (0, 1)
    );
}

#[test]
fn a_service_that_needs_an_operator_is_blocked_until_it_is_resolved() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store
        .close_journal("0", &report(1, Outcome::NeedsOperator), None)
        .unwrap();
    assert_eq!(store.blocked(&web()).unwrap(), Some(intent(7, 1).id));
    assert_eq!(store.blocked(&"api".parse().unwrap()).unwrap(), None);
    assert!(store.resolve(&web()).unwrap() && !store.resolve(&web()).unwrap());
    assert_eq!(store.blocked(&web()).unwrap(), None);
}

#[test]
fn old_intents_are_forgotten_unless_somebody_has_to_judge_them_or_they_lie_behind_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let all: Vec<_> = (1..=100).map(|seq| intent(7, seq)).collect();
    store.receive(&channel(), at(30), &all).unwrap();
    store
        .close_journal("0", &report(5, Outcome::Waiting), None)
        .unwrap();
    store
        .close_journal("1", &report(6, Outcome::Succeeded), None)
        .unwrap();
    let is_open =
        |one: &Intent, outcomes: &BTreeMap<ServiceName, Outcome>| match outcomes.get(&web()) {
            Some(outcome) => !outcome.is_terminal(),
            None => one.seq == 7,
        };
    store.prune(&channel(), is_open).unwrap();
    let left: Vec<_> = store
        .intents(&channel())
        .unwrap()
        .iter()
        .map(|one| one.seq)
        .collect();
    assert_eq!(left, [vec![5, 7], (31..=100).collect()].concat());
    assert_eq!(store.standings(&web()).unwrap().len(), 1);
}

#[test]
fn a_second_poller_is_told_that_the_state_is_in_use() {
    let dir = filled();
    let _first = Store::open(dir.path()).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(
        matches!(error, StoreError::Locked { .. })
            && error.to_string().contains("stop that one first")
    );
}

#[test]
fn the_state_is_for_its_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    let _store = Store::open(&dir).unwrap();
    let mode = |name: &str| {
        std::fs::metadata(dir.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        [mode(""), mode("state.db"), mode("state.db-wal")],
        [0o700, 0o600, 0o600]
    );
}

/// Changes the closed database as a program that is not the poller would.
fn change(dir: &TempDir, sql: &str) {
    let db = Connection::open(dir.path().join("state.db")).unwrap();
    db.execute_batch(sql).unwrap();
}

#[test]
fn a_damaged_row_is_named_and_nothing_is_reset() {
    let dir = filled();
    change(
        &dir,
        "UPDATE mark SET row = CAST(replace(CAST(row AS TEXT), '2', '1') AS BLOB)",
    );
    let store = Store::open(dir.path()).unwrap();
    let error = store.mark(&channel()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("state.db: mark octo-org/web is damaged (wrong checksum)"),
        "{error}"
    );
    assert_eq!(store.intents(&channel()).unwrap().len(), 2);
}

#[test]
fn a_row_at_another_key_or_cut_short_is_damaged() {
    for sql in [
        "UPDATE journal SET key = '0b0b0b0b'",
        "UPDATE journal SET row = substr(row, 1, 5)",
        "UPDATE journal SET row = substr(row, 1, 30)",
        "UPDATE journal SET row = x''",
    ] {
        let dir = filled();
        change(&dir, sql);
        let error = Store::open(dir.path())
            .unwrap()
            .open_journals()
            .unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{sql}: {error}"
        );
    }
}

#[test]
fn a_newer_row_or_database_is_told_as_newer() {
    let dir = filled();
    change(
        &dir,
        "UPDATE journal SET row = CAST(x'02' || substr(row, 2) AS BLOB)",
    );
    let error = Store::open(dir.path())
        .unwrap()
        .open_journals()
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 2, .. }),
        "{error}"
    );
    change(&dir, "PRAGMA user_version = 9");
    let error = Store::open(dir.path()).unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 9, .. }),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_database_or_cut_off_is_refused_and_left_alone() {
    let dir = filled();
    let path = dir.path().join("state.db");
    let whole = std::fs::read(&path).unwrap();
    for damaged in [
        b"not a database, but long enough to be looked at".repeat(200),
        whole[..whole.len() / 2].to_vec(),
    ] {
        std::fs::write(&path, &damaged).unwrap();
        let error = Store::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged);
    }
}
