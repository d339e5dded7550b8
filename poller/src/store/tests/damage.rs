//! State that is in use, damaged, cut off or newer is refused and left as it was.

use super::*;

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
