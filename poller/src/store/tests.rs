use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use towline_protocol::{Channel, Intent, Mark, Outcome, Report, ServiceName, Side};

use super::*;
use crate::{
    report::blank,
    select::Seen,
    testing::{self, intent},
};

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
        on_purpose: None,
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
        intent: Some(done.intent.clone()),
        since: Timestamp::UNIX_EPOCH,
    };
    let end = End {
        running: Some(running.clone()),
        ..End::of(done.clone())
    };
    store.close_journal("0a0a0a0a", &web(), &end).unwrap();
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
        .close_journal("0", &web(), &End::of(report(1, Outcome::Waiting)))
        .unwrap();
    let sent = store.spooled(10).unwrap();
    store
        .close_journal("1", &web(), &End::of(report(1, Outcome::Succeeded)))
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
        .close_journal("0", &web(), &End::of(report(1, Outcome::NeedsOperator)))
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
        .close_journal("0", &web(), &End::of(report(5, Outcome::Waiting)))
        .unwrap();
    store
        .close_journal("1", &web(), &End::of(report(6, Outcome::Succeeded)))
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

/// A state as the first version of towline wrote it: its tables, its rows.
fn of_version_1() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let db = Connection::open(dir.path().join("state.db")).unwrap();
    db.execute_batch(VERSION_1).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let one = intent(7, 1);
    let key = format!("web/{}", one.id);
    let time = "1970-01-01T00:00:00Z";
    let side = json!({ "sha": null, "digest": null });
    let standing = json!({ "attempt": 1, "outcome": "waiting", "since": time });
    let running = json!({ "side": side, "intent": one.id, "since": time });
    let open = json!({ "deploy": "0a0a0a0a", "service": "web", "intent": one.id, "attempt": 1, "body": "{}" });
    for (table, key, value) in [
        ("mark", "octo-org/web", json!({ "epoch": 7, "seq": 1 })),
        (
            "intent",
            &format!("octo-org/web@{}", one.id),
            serde_json::to_value(&one).unwrap(),
        ),
        ("standing", &key, standing),
        ("running", "web", running),
        ("journal", "0a0a0a0a", open),
    ] {
        row::put(&db, table, key, &value).unwrap();
    }
    dir
}

#[test]
fn a_state_of_version_1_is_taken_over_with_all_that_is_in_it() {
    let dir = of_version_1();
    for _ in 0..2 {
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.mark(&channel()).unwrap(), Some(at(1)));
        let standing = &store.standings(&web()).unwrap()[&intent(7, 1).id];
        assert_eq!(
            (standing.outcome, standing.again, standing.interruptions),
            (Outcome::Waiting, false, 0)
        );
        let running = store.running(&web()).unwrap().unwrap();
        assert_eq!(running.intent, Some(intent(7, 1).id));
        assert_eq!(store.open_journals().unwrap(), [entry("0a0a0a0a", "{}")]);
        assert_eq!(store.history(None, 10).unwrap(), []);
        assert_eq!(store.hold(&web()).unwrap(), None);
    }
    let mut store = Store::open(dir.path()).unwrap();
    store
        .close_journal("0a0a0a0a", &web(), &End::of(report(1, Outcome::RolledBack)))
        .unwrap();
    let past = store.history(None, 10).unwrap();
    assert_eq!(past[0].cause.run_number, Some(1));
}

#[test]
fn a_state_that_could_not_be_taken_over_is_left_as_it_was() {
    let dir = of_version_1();
    change(&dir, "CREATE TABLE history (key TEXT)");
    Store::open(dir.path()).unwrap_err();
    change(&dir, "DROP TABLE history");
    let db = Connection::open(dir.path().join("state.db")).unwrap();
    let tables: i64 = db
        .query_row(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('quarantine', 'hold', 'version')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(tables, 0);
    drop(db);
    Store::open(dir.path()).unwrap();
}

#[test]
fn the_history_has_the_newest_ends_of_each_service_and_what_caused_them() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    let api: ServiceName = "api".parse().unwrap();
    let other = Report {
        service: Some(api.clone()),
        ..report(99, Outcome::Refused)
    };
    store.close_journal("0", &api, &End::of(other)).unwrap();
    store
        .close_journal("1", &web(), &End::of(report(2, Outcome::Waiting)))
        .unwrap();
    for attempt in 0..HISTORY + 20 {
        let again = Report {
            attempt,
            ..report(2, Outcome::RolledBack)
        };
        store.close_journal("2", &web(), &End::of(again)).unwrap();
    }
    let of_web = store.history(Some(&web()), 1000).unwrap();
    assert_eq!(of_web.len(), HISTORY as usize);
    assert_eq!(of_web[0].report.attempt, HISTORY + 19, "the newest first");
    let cause = &of_web[0].cause;
    assert_eq!(
        (cause.kind, cause.run_number, cause.by.as_deref()),
        (CauseKind::WorkflowRun, Some(2), Some("octocat"))
    );
    let of_api = store.history(Some(&api), 1000).unwrap();
    assert_eq!(of_api.len(), 1, "another's ends push nothing out");
    assert_eq!(
        of_api[0].cause,
        Cause::default(),
        "its intent is not known any more"
    );
    assert_eq!(store.history(None, 3).unwrap().len(), 3);
}

fn failed(digest: char) -> Quarantined {
    Quarantined {
        digest: testing::digest(digest),
        sha: None,
        intent: Some(intent(7, 1).id),
        channel: channel(),
        place: at(1),
        since: Timestamp::UNIX_EPOCH,
        why: "gate".to_owned(),
        on_purpose: false,
    }
}

#[test]
fn an_end_with_all_that_it_changes_is_kept_together_or_not_at_all() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    let hold = Hold {
        channel: channel(),
        place: at(2),
        since: Timestamp::UNIX_EPOCH,
        why: "v2 leaks".to_owned(),
    };
    let end = End {
        again: true,
        interruptions: 2,
        failed: Some(failed('a')),
        hold: HoldChange::Begin(hold.clone()),
        ..End::of(report(1, Outcome::RolledBack))
    };
    store.tamper(
        "CREATE TRIGGER full BEFORE INSERT ON hold BEGIN SELECT RAISE(FAIL, 'disk is full'); END",
    );
    store.close_journal("0a0a0a0a", &web(), &end).unwrap_err();
    assert_eq!(store.open_journals().unwrap().len(), 1);
    assert_eq!(store.history(None, 9).unwrap().len(), 1);
    assert_eq!(store.quarantine(&web()).unwrap(), []);
    store.tamper("DROP TRIGGER full");
    store.close_journal("0a0a0a0a", &web(), &end).unwrap();
    assert_eq!(store.quarantine(&web()).unwrap(), [failed('a')]);
    assert_eq!(store.quarantine(&"we".parse().unwrap()).unwrap(), []);
    assert_eq!(store.hold(&web()).unwrap(), Some(hold));
    let standing = &store.standings(&web()).unwrap()[&intent(7, 1).id];
    assert_eq!((standing.again, standing.interruptions), (true, 2));
    let good = End {
        proved: Some(testing::digest('a')),
        failed: Some(failed('b')),
        hold: HoldChange::End,
        ..End::of(report(2, Outcome::Succeeded))
    };
    store.close_journal("0", &web(), &good).unwrap();
    assert_eq!(store.quarantine(&web()).unwrap(), [failed('b')]);
    assert_eq!(store.hold(&web()).unwrap(), None);
}

#[test]
fn another_try_forgets_what_stands_in_its_way() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    let end = End {
        interruptions: 3,
        failed: Some(failed('a')),
        ..End::of(report(2, Outcome::RolledBack))
    };
    store.close_journal("0", &web(), &end).unwrap();
    store.try_again(&web(), &intent(7, 2).id).unwrap();
    let standing = &store.standings(&web()).unwrap()[&intent(7, 2).id];
    assert_eq!(
        (standing.again, standing.interruptions, standing.attempt),
        (true, 0, 1)
    );
    assert_eq!(store.quarantine(&web()).unwrap(), []);
    let waiting = End::of(report(2, Outcome::Waiting));
    store.close_journal("1", &web(), &waiting).unwrap();
    store.try_again(&web(), &intent(7, 2).id).unwrap();
    let standing = &store.standings(&web()).unwrap()[&intent(7, 2).id];
    assert!(!standing.again, "it has not ended yet");
}

#[test]
fn versions_are_kept_the_last_one_first_and_show_no_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let version = |image: &str, until: i64| Version {
        image_id: image.to_owned(),
        digest: None,
        sha: None,
        intent: None,
        since: None,
        until: Timestamp::from_second(until).unwrap(),
        tag: format!("towline/web:{image}"),
        container: json!({ "Config": { "Env": ["PASSWORD=hunter2"] } }),
        image: json!({}),
    };
    for (image, until) in [("one", 1), ("two", 2), ("one", 3), ("three", 0)] {
        let version = version(image, until);
        store.keep_version(&web(), &version).unwrap();
    }
    store.forget_version(&web(), "three").unwrap();
    let versions = store.versions(&web()).unwrap();
    assert_eq!(versions, [version("one", 3), version("two", 2)]);
    assert!(!format!("{versions:?}").contains("hunter2"));
    assert_eq!(store.versions(&"we".parse().unwrap()).unwrap(), []);
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
