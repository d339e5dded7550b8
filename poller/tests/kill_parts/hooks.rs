//! A poller that is killed while a hook runs: the hook is called again, and what was passed before counts.

use std::{fs, os::unix::process::ExitStatusExt};

use towline_tests::program;

use crate::{
    app::{App, GOOD},
    poller::ended,
};

const HOOKS: &str =
    "[service.app.hooks]\nbefore = { run = [\"./hook\"] }\nafter = { run = [\"./hook\"] }";

/// Writes down when it is called, kills the poller once where it is told to, and ends when it is asked to.
const HOOK: &str = r#"#!/bin/sh
echo "$TOWLINE_STEP $TOWLINE_SHORT_SHA" >> called
if [ -e "kill-in-$TOWLINE_STEP" ]; then
    rm "kill-in-$TOWLINE_STEP"
    kill -9 "$PPID"
    exec sleep 300
fi
"#;

/// What was called after a poller was killed in this hook, and another one has gone on.
fn killed_in(hook: &str) -> (App, String) {
    let app = App::prepared(HOOKS, GOOD, |folder| {
        program::write(&folder.join("hook"), HOOK).unwrap();
    });
    fs::remove_file(app.file("called")).unwrap();
    app.kill_in(hook);
    let killed = app.towline(&["once"]).output().unwrap();
    let (status, log) = ended(killed);
    assert_eq!(status.signal(), Some(9), "{log}");
    let (status, log, _) = app.once();
    assert_eq!(status, 0, "{log}");
    assert_eq!(app.truth(GOOD, hook), "succeeded");
    assert_eq!(app.running(), Vec::<String>::new());
    let called = fs::read_to_string(app.file("called")).unwrap();
    (app, called)
}

#[test]
fn a_poller_that_is_killed_in_the_hook_before_has_touched_nothing_and_calls_it_again() {
    let (app, called) = killed_in("before");
    assert_eq!(called, "before 2222222\nbefore 2222222\nafter 2222222\n");
    assert_eq!(app.log(), "stop 2222222\nrun 2222222\nstart 2222222\n");
}

#[test]
fn a_poller_that_is_killed_in_the_hook_after_goes_on_with_the_gate_and_calls_it_again() {
    let (app, called) = killed_in("after");
    assert_eq!(called, "before 2222222\nafter 2222222\nafter 2222222\n");
    // The version is in place, and is not brought once more.
    assert_eq!(app.log(), "stop 2222222\nrun 2222222\nstart 2222222\n");
    assert_eq!(app.reports().len(), 1);
}
