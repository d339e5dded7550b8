//! State that cannot be used: every command says why, ends with 1, and leaves what is there as it is.

use std::{collections::BTreeMap, fs::OpenOptions, path::Path, process::Child};

use super::*;

/// The commands that need the state.
const COMMANDS: [&[&str]; 8] = [
    &["once"],
    &["run"],
    &["status"],
    &["history"],
    &["retry", "web"],
    &["resolve", "web"],
    &["rollback", "web"],
    &["restore", "web"],
];

/// A host that has refused an intent, and its relay.
fn host() -> (Relay, Host) {
    let relay = Relay::start();
    let host = Host::new(relay.port, "manual = false");
    relay.change(|state| state.intents = news(&[manual(1)]));
    assert_eq!(host.once().0, 3);
    (relay, host)
}

/// The same, with the state as a poller leaves it that is killed: some of it only in the log.
fn killed_host() -> (Relay, Host) {
    let (relay, host) = host();
    relay.change(|state| state.intents = news(&[manual(1), manual(2)]));
    let mut run = running(&host);
    until("the second refusal is reported", || {
        relay.outcomes().len() == 2
    });
    until("the poller has noted that", || {
        let status = host.command(&["status", "--json"]).output().unwrap();
        String::from_utf8(status.stdout)
            .unwrap()
            .contains("\"unsent\": 0")
    });
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(fs::metadata(host.path("state/state.db-wal")).unwrap().len() > 4096);
    (relay, host)
}

fn running(host: &Host) -> Child {
    let mut command = host.command(&["run", "--interval", "1s"]);
    command.stderr(Stdio::null()).spawn().unwrap()
}

/// The database and its log.
fn files(host: &Host) -> BTreeMap<String, Vec<u8>> {
    let names = ["state.db", "state.db-wal"].map(str::to_owned);
    let found = names.into_iter().filter_map(|name| {
        let content = fs::read(host.path("state").join(&name)).ok()?;
        Some((name, content))
    });
    found.collect()
}

fn cut(path: &Path, length: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

/// Each command tells this, with status 1; neither the state nor the relay is touched.
fn assert_refused(relay: &Relay, host: &Host, told: &str) {
    assert_refused_by(&COMMANDS, relay, host, told);
}

fn assert_refused_by(commands: &[&[&str]], relay: &Relay, host: &Host, told: &str) {
    let before = files(host);
    relay.change(|state| state.polls = 0);
    for command in commands {
        let (status, log) = ended(host.command(command).output().unwrap());
        assert_eq!(status, 1, "{command:?}: {log}");
        assert!(log.contains(told), "{command:?}: {told}: {log}");
        assert!(log.contains("nothing was changed"), "{command:?}: {log}");
        assert!(files(host) == before, "{command:?} has changed the state");
    }
    assert_eq!(relay.change(|state| state.polls), 0);
}

#[test]
fn a_database_that_is_empty_cut_off_or_none_is_told_and_never_begun_anew() {
    let (relay, host) = host();
    let path = host.path("state/state.db");
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() as u64;
    for length in [pages / 2, 4096, 100, 15, 1] {
        cut(&path, length);
        assert_refused(&relay, &host, "state.db is damaged");
    }
    cut(&path, 0);
    assert_refused(&relay, &host, "state.db is damaged (it is empty)");
    fs::write(
        &path,
        "no database, however long one looks at it".repeat(100),
    )
    .unwrap();
    assert_refused(&relay, &host, "state.db is damaged (it is no database)");
    fs::write(&path, whole).unwrap();
    assert_eq!(host.once().0, 0, "as it was");
}

#[test]
fn a_state_of_a_newer_version_is_left_to_it() {
    let (relay, host) = host();
    let db = rusqlite::Connection::open(host.path("state/state.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let told = "state.db was written by a newer version of towline (format 99)";
    assert_refused(&relay, &host, told);
}

#[test]
fn a_poller_that_was_killed_leaves_a_state_with_all_that_it_did() {
    let (relay, host) = killed_host();
    assert_eq!(host.once().0, 0);
    assert_eq!(relay.outcomes().len(), 2, "nothing is told twice");
}

#[test]
fn a_log_that_is_garbage_or_has_lost_its_database_is_told_and_kept() {
    let (relay, host) = killed_host();
    let log = host.path("state/state.db-wal");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, "garbage ".repeat(1000)).unwrap();
    assert_refused(
        &relay,
        &host,
        "its log state.db-wal does not begin like one",
    );
    fs::write(&log, whole).unwrap();
    let (path, aside) = (host.path("state/state.db"), host.path("aside"));
    fs::rename(&path, &aside).unwrap();
    // The others say that there is no state.
    assert_refused_by(&COMMANDS[..2], &relay, &host, "it is missing, and its log");
    fs::write(&path, "").unwrap();
    assert_refused(&relay, &host, "it is empty");
    fs::rename(&aside, &path).unwrap();
    assert_eq!(host.once().0, 0, "as it was");
}

#[test]
fn a_second_poller_ends_at_the_first_ones_state_and_the_first_one_goes_on() {
    let (relay, host) = host();
    let mut first = running(&host);
    relay.change(|state| state.polls = 0);
    until("the first one polls", || {
        relay.change(|state| state.polls > 0)
    });
    for command in ["once", "run"] {
        let (status, log) = ended(host.command(&[command]).output().unwrap());
        assert_eq!(status, 1, "{log}");
        assert!(log.contains("in use by another towline process"), "{log}");
    }
    relay.change(|state| state.intents = news(&[manual(1), manual(2)]));
    until("the first one has refused it", || {
        relay.outcomes().len() == 2
    });
    assert!(first.try_wait().unwrap().is_none());
    first.kill().unwrap();
    first.wait().unwrap();
}
