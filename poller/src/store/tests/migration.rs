//! State of an earlier version is taken over whole or not at all.

use super::*;
use crate::{
    lock::{Length, Lock, LockName},
    uptime::Moment,
};

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
        assert_eq!(
            (running.intent, running.unwell),
            (Some(intent(7, 1).id), None)
        );
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
fn what_was_in_quarantine_by_its_digest_is_so_still_and_is_let_go_when_it_proves_itself() {
    let dir = tempfile::tempdir().unwrap();
    let db = Connection::open(dir.path().join("state.db")).unwrap();
    for version in [VERSION_1, VERSION_2, VERSION_3] {
        db.execute_batch(version).unwrap();
    }
    db.pragma_update(None, "user_version", 3).unwrap();
    let digest = testing::digest('a');
    let before = json!({ "digest": digest, "intent": intent(7, 1).id, "channel": channel(), "place": at(1),
        "since": "1970-01-01T00:00:00Z", "why": "gate" });
    row::put(&db, "quarantine", &format!("web/{digest}"), &before).unwrap();
    drop(db);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.revisions(&web()).unwrap(), []);
    assert_eq!(store.quarantine(&web()).unwrap(), [failed('a')]);
    let proved = End {
        proved: Some(digest.into()),
        ..End::default()
    };
    store.close_journal("0", &web(), &proved).unwrap();
    assert_eq!(store.quarantine(&web()).unwrap(), []);
}

#[test]
fn a_state_of_version_4_has_no_locks_and_takes_them() {
    let dir = filled();
    change(&dir, "DROP TABLE lock; PRAGMA user_version = 4");
    for held in [0, 1] {
        let store = Store::open(dir.path()).unwrap();
        let now = Moment::now();
        let mut locks = store.locks();
        assert_eq!(locks.of(&web(), &now).unwrap().len(), held);
        let lock = Lock {
            name: LockName::default(),
            reason: None,
            since: now.clone(),
            length: Length::try_from(3600).unwrap(),
        };
        locks.put(&web(), &lock, &now).unwrap();
        assert_eq!(store.open_journals().unwrap(), [entry("0a0a0a0a", "{}")]);
    }
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
