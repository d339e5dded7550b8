//! Commands and their variables: what may stand there, and what not.

use std::path::PathBuf;

use super::*;

#[test]
fn commands_have_defaults_that_harm_nobody() {
    let plain = parts_of("command = { run = [\"./update.sh\"] }");
    assert_eq!((plain.kind(), plain.needs_engine()), ("command", false));
    assert_eq!(plain.dir(), PathBuf::from("/"));
    let command = plain.command.unwrap();
    assert_eq!(command.run, ["./update.sh"]);
    assert_eq!(command.timeout, Duration::from_secs(300));
    assert_eq!(command.on_interrupt, OnInterrupt::Ask);
    assert!(command.env.is_empty() && command.rollback.is_none() && command.stop.is_none());
    let back = parts_of("command = { run = [\"a\"], rollback = [\"b\"] }");
    assert_eq!(back.command.unwrap().on_interrupt, OnInterrupt::Rollback);
    let checkout = parts_of("git = { path = \"/srv/app\" }\ncommand = { run = [\"a\"] }");
    assert_eq!(checkout.dir(), PathBuf::from("/srv/app"));
}

#[test]
fn commands_are_taken_word_by_word() {
    let parts = parts_of(
        "[service.app.command]\nrun = [\"sh\", \"-c\", \"echo \\\"$X\\\"\\n\", \"\"]\nrollback = [\"r\"]\nstop = [\"systemctl\", \"stop\", \"app\"]\n\
         start = [\"systemctl\", \"start\", \"app\"]\ndir = \"/srv\"\ntimeout = \"1h\"\non_interrupt = \"rerun\"\nenv = { X = \"a b\", _y1 = \"\" }",
    );
    assert_eq!(parts.dir(), PathBuf::from("/srv"));
    let command = parts.command.unwrap();
    assert_eq!(command.run, ["sh", "-c", "echo \"$X\"\n", ""]);
    assert_eq!(command.stop, Some(words(&["systemctl", "stop", "app"])));
    assert_eq!(command.start, Some(words(&["systemctl", "start", "app"])));
    assert_eq!(command.timeout, Duration::from_secs(3600));
    assert_eq!(command.on_interrupt, OnInterrupt::Rerun);
    let env = [("X", "a b"), ("_y1", "")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(command.env, env.into());
}

#[test]
fn a_command_that_cannot_be_is_refused() {
    let with = |more: &str| format!("command = {{ run = [\"a\"], {more} }}");
    refused(&[
        ("command = [\"a\"]", "command: expected a table"),
        (
            "command = {}",
            "command.run: is missing: what brings a version in place",
        ),
        (
            "command = { run = \"make deploy\" }",
            "command.run: expected a list of a program and its arguments",
        ),
        (
            "command = { run = [] }",
            "command.run: expected a list of a program and its arguments such as [\"./update.sh\", \"--quick\"], found an empty list",
        ),
        ("command = { run = [\"\"] }", "command.run: expected a list"),
        (
            "command = { run = [\"a\", 1] }",
            "command.run: expected a list",
        ),
        (
            "command = { run = [\"a\", \"b\\u0000\"] }",
            "command.run: expected a list",
        ),
        (&with("rollback = []"), "command.rollback: expected a list"),
        (
            &with("stop = \"x\", start = [\"y\"]"),
            "command.stop: expected a list",
        ),
        (&with("start = \"x\""), "command.start: expected a list"),
        (
            &with("stop = [\"x\"]"),
            "command.start: is missing: what is stopped must be started again",
        ),
        (
            &with("dir = \"app\""),
            "command.dir: expected an absolute path",
        ),
        (&with("timeout = 5"), "command.timeout: expected a duration"),
        (
            &with("timeout = \"0s\""),
            "command.timeout: expected a duration",
        ),
        (
            &with("timeout = \"25h\""),
            "command.timeout: expected a duration",
        ),
        (
            &with("on_interrupt = \"retry\""),
            "command.on_interrupt: expected \"rerun\", \"rollback\" or \"ask\", found \"retry\"",
        ),
        (
            &with("on_interrupt = \"rollback\""),
            "command.on_interrupt: there is no way back",
        ),
        (&with("shell = true"), "command.shell: unknown key"),
    ]);
    let told = told_of("command = { run = \"make deploy\" }");
    assert!(
        told.ends_with("name it: [\"sh\", \"-c\", \"...\"]"),
        "{told}"
    );
}

#[test]
fn a_checkout_is_a_way_back_after_an_interruption_too() {
    let parts = parts_of(
        "git = { path = \"/srv/app\" }\ncommand = { run = [\"a\"], on_interrupt = \"rollback\" }",
    );
    assert_eq!(parts.command.unwrap().on_interrupt, OnInterrupt::Rollback);
}

#[test]
fn variables_have_names_of_their_own_and_values_that_are_text() {
    let with = |env: &str| format!("command = {{ run = [\"a\"], env = {env} }}");
    refused(&[
        (&with("\"X=1\""), "command.env: expected a table"),
        (
            &with("{ TOWLINE_SHA = \"x\" }"),
            "command.env.TOWLINE_SHA: variables TOWLINE_* are set by Towline itself",
        ),
        (
            &with("{ 1X = \"x\" }"),
            "command.env.1X: expected the name of a variable",
        ),
        (
            &with("{ \"a b\" = \"x\" }"),
            "command.env.a b: expected the name of a variable",
        ),
        (
            &with("{ \"a=b\" = \"x\" }"),
            "command.env.a=b: expected the name of a variable",
        ),
        (
            &with("{ \"\" = \"x\" }"),
            "command.env.: expected the name of a variable",
        ),
        (
            &with("{ X = \"a\\u0000\" }"),
            "command.env.X: expected text without a NUL byte",
        ),
    ]);
    let told = told_of(&with("{ X = 314159 }"));
    assert_eq!(
        told,
        "command.env.X: expected text in quotes, found a value of type integer"
    );
    let both = mistakes(&with_app(&with("{ X = 1, TOWLINE_TAG = \"v1\" }")));
    assert_eq!(both.len(), 2, "{both:?}");
}
