//! A poller that is told to end (SIGTERM), or dies, in the middle of a command, of a gate and of a fetch: what it leaves to the next
//! one, and that nobody is left running.

use std::fs;

use towline_tests::git_server::Mood;

use crate::{
    app::{App, GOOD},
    poller::{Running, until},
    remote::Remote,
    seen,
    tree::{Kind, Tree},
};

/// A `rollback`, so that a `run` which was cut off would be told from one that was waited for.
const WITH_ROLLBACK: &str = "rollback = [\"./act\"]";
const FORTH: &str = "stop 2222222\nrun 2222222\nstart 2222222\n";
const NOBODY: [&str; 0] = [];

/// The next poller brings the deploy to a good end, and runs nothing for that.
fn is_gone_on_with(app: &App) {
    assert_eq!(app.running(), NOBODY);
    assert_eq!(app.reports().len(), 0, "how it ends is not known yet");
    assert_eq!((app.log().as_str(), app.live().as_str()), (FORTH, GOOD));
    app.watches_for("100ms");
    let (status, log, _) = app.once();
    assert_eq!(status, 0, "{log}");
    assert_eq!(app.truth(GOOD, &log), "succeeded");
    assert_eq!(app.log(), FORTH, "{log}");
}

#[test]
fn a_poller_that_is_told_to_end_waits_for_a_command_and_leaves_the_gate_to_the_next_one() {
    let app = App::new(WITH_ROLLBACK, GOOD);
    app.took();
    app.watches_for("1h");
    let hold = app.hold_in("run");
    let run = app.runs();
    until("the command runs", || app.log().contains("run 2222222"));
    run.ask_to_end();
    fs::remove_file(hold).unwrap();
    let (status, log) = run.ended();
    assert!(status.success(), "{log}");
    is_gone_on_with(&app);
}

#[test]
fn a_poller_that_is_told_to_end_in_a_gate_leaves_it_at_once_and_the_version_where_it_is() {
    let app = App::new(WITH_ROLLBACK, GOOD);
    app.took();
    app.watches_for("1h");
    let run = app.runs();
    until("the gate waits", || {
        app.passed().contains(&"replacing.gate.before".to_owned())
    });
    run.ask_to_end();
    let (status, log) = run.ended();
    assert!(status.success() && app.is_up(), "{log}");
    is_gone_on_with(&app);
}

/// A checkout, its poller, which waits for a server that does not answer, and what was to be seen of the checkout before.
fn fetching(remote: &Remote) -> (Tree, Running, Vec<String>) {
    let tree = Tree::new(Kind::WithData, remote, &remote.good);
    let before = seen::checkout(&tree.file("app"));
    remote.server.set(Mood::Hangs);
    let run = tree.runs();
    until("a git fetches", || fetches(&tree));
    (tree, run, before)
}

fn fetches(tree: &Tree) -> bool {
    let running = tree.running();
    running.iter().any(|one| one.contains("git-remote-http"))
}

/// Nothing was touched; the server answers again, and the next poller deploys as if nothing had been.
fn is_deployed(tree: &Tree, remote: &Remote, before: &[String]) {
    assert_eq!(seen::checkout(&tree.file("app")), before);
    assert_eq!(tree.reports().len(), 0);
    remote.server.set(Mood::Serves);
    let (status, log, _) = tree.once();
    assert_eq!(status, 0, "{log}");
    assert_eq!(tree.told().0, "succeeded", "{log}");
    assert_eq!(tree.in_place(remote), remote.good);
}

#[test]
fn a_poller_that_is_told_to_end_while_it_fetches_ends_the_fetch_and_has_touched_nothing() {
    let remote = Remote::new();
    let (tree, run, before) = fetching(&remote);
    run.ask_to_end();
    let (status, log) = run.ended();
    assert!(status.success(), "{log}");
    assert_eq!(tree.running(), NOBODY, "{log}");
    is_deployed(&tree, &remote, &before);
}

#[test]
fn a_fetch_ends_with_its_poller_when_that_is_killed() {
    let remote = Remote::new();
    let (tree, run, before) = fetching(&remote);
    run.signal("-KILL");
    run.ended();
    until("the fetch has ended", || tree.running().is_empty());
    is_deployed(&tree, &remote, &before);
}
