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

/// What is in the directory, by name, but the lock.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let all = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read(entry.path()).unwrap())
    });
    all.filter(|(name, _)| name != "lock").collect()
}

/// The same, as a process that was killed leaves it: with its log.
fn killed() -> BTreeMap<String, Vec<u8>> {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    store.write_journal(&entry("0b0b0b0b", "{}")).unwrap();
    let left = files(dir.path());
    assert!(left["state.db-wal"].len() > 4096);
    left
}

fn directory(files: &BTreeMap<String, Vec<u8>>) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

/// Such files are refused for this reason, each time, and stay as they are.
fn assert_refused(left: &BTreeMap<String, Vec<u8>>, why: &str) {
    let dir = directory(left);
    for _ in 0..2 {
        let error = Store::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert!(&files(dir.path()) == left, "changed: {why}: {error}");
    }
}

fn only_database(content: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([("state.db".to_owned(), content)])
}

#[test]
fn a_file_that_is_no_database_or_cut_off_is_refused_and_left_alone() {
    let text = b"not a database, but long enough to be looked at".repeat(200);
    assert_refused(&only_database(text), "no database");
    assert_refused(&only_database(Vec::new()), "it is empty");
    let whole = files(filled().path()).remove("state.db").unwrap();
    for length in [1, 99, 100, 4095, 4096, whole.len() / 2, whole.len() - 4096] {
        assert_refused(&only_database(whole[..length].to_vec()), "is damaged");
    }
}

#[test]
fn a_database_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    change(&dir, "CREATE TABLE theirs (key TEXT)");
    let error = Store::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("it has no tables"), "{error}");
}

#[test]
fn what_a_killed_process_left_is_all_there() {
    let dir = directory(&killed());
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.open_journals().unwrap().len(), 2);
}

#[test]
fn an_empty_or_missing_database_does_not_throw_its_log_away() {
    let mut left = killed();
    left.insert("state.db".to_owned(), Vec::new());
    assert_refused(&left, "it is empty");
    left.remove("state.db");
    assert_refused(&left, "it is missing, and its log");
}

#[test]
fn a_log_that_is_none_is_refused_and_one_that_never_reached_the_disk_is_not() {
    let whole = killed();
    let log = &whole["state.db-wal"];
    let mut with = whole.clone();
    let mut flipped = log.clone();
    flipped[13] ^= 1;
    for broken in [b"garbage".repeat(100), flipped, log[..31].to_vec()] {
        with.insert("state.db-wal".to_owned(), broken);
        assert_refused(&with, "does not begin like one");
    }
    for unwritten in [Vec::new(), vec![0; 4096]] {
        with.insert("state.db-wal".to_owned(), unwritten);
        let dir = directory(&with);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.open_journals().unwrap().len(), 1);
    }
}

#[test]
fn a_beginning_that_was_interrupted_is_begun_again() {
    let rest = |name: &str| (name.to_owned(), b"half".to_vec());
    let left = BTreeMap::from([rest("state.db.new"), rest("state.db.new-wal")]);
    let dir = directory(&left);
    drop(Store::open(dir.path()).unwrap());
    let names: Vec<String> = files(dir.path()).into_keys().collect();
    assert_eq!(names, ["state.db"]);
}
