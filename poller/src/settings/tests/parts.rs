//! Checkouts, Compose projects, commands and backups: what may stand there, and what not.

use std::path::PathBuf;

use super::*;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Each line makes the mistake beside it, and no other.
#[track_caller]
fn refused(cases: &[(&str, &str)]) {
    for (lines, expected) in cases {
        let told = told_of(lines);
        assert!(told.starts_with(expected), "{lines}: {told}");
    }
}

#[test]
fn a_checkout_is_a_folder_and_comes_from_origin() {
    let plain = parts_of("git = { path = \"/srv/app/\" }");
    let git = Git {
        path: PathBuf::from("/srv/app"),
        remote: "origin".to_owned(),
        credential_file: None,
        discard_changes: false,
    };
    assert_eq!(plain.git, Some(git.clone()));
    assert_eq!((plain.kind(), plain.dir()), ("git", git.path.clone()));
    let all = "user = \"pi\"\ngit = { path = \"/srv/app\", remote = \"up_stream\", credential_file = \"/etc/towline/git\", discard_changes = true }";
    let parts = parts_of(all);
    let git = Git {
        remote: "up_stream".to_owned(),
        credential_file: Some(PathBuf::from("/etc/towline/git")),
        discard_changes: true,
        ..git
    };
    assert_eq!((parts.git, parts.user.as_deref()), (Some(git), Some("pi")));
}

#[test]
fn a_checkout_that_cannot_be_is_refused() {
    refused(&[
        ("git = \"/srv/app\"", "git: expected a table"),
        ("git = {}", "git.path: is missing: the checkout's folder"),
        (
            "git = { path = \"srv/app\" }",
            "git.path: expected an absolute path",
        ),
        ("git = { path = \"/\" }", "git.path: expected a path below"),
        (
            "git = { path = \"\" }",
            "git.path: expected a path, found nothing",
        ),
        (
            "git = { path = \"/srv/../etc\" }",
            "git.path: expected a path without",
        ),
        ("git = { path = 3 }", "git.path: expected text"),
        (
            "git = { path = \"/srv/app\", branch = \"main\" }",
            "git.branch: unknown key",
        ),
        (
            "git = { path = \"/srv/app\", discard_changes = \"yes\" }",
            "git.discard_changes: expected true or false",
        ),
        (
            "git = { path = \"/srv/app\", credential_file = \"token\" }",
            "git.credential_file: expected an absolute path",
        ),
    ]);
}

#[test]
fn a_remote_is_a_name_and_can_be_neither_an_option_nor_an_address() {
    for remote in [
        "--upload-pack=touch /tmp/x",
        "-c",
        "https://github.com/octo-org/app",
        "git@github.com:octo-org/app",
        "../app",
        "a..b",
        "a.lock",
        "or igin",
        "",
    ] {
        let line = format!("git = {{ path = \"/srv/app\", remote = {remote:?} }}");
        let told = told_of(&line);
        assert!(
            told.starts_with("git.remote: expected the name of a remote"),
            "{remote}: {told}"
        );
    }
}

#[test]
fn a_compose_project_is_a_file_and_what_of_it_is_brought_up() {
    let plain = parts_of("compose = { file = \"/srv/stack/compose.yml\" }");
    let compose = Compose {
        file: PathBuf::from("/srv/stack/compose.yml"),
        project: None,
        services: vec![],
        profiles: vec![],
        env_file: None,
    };
    assert_eq!(plain.compose, Some(compose));
    assert_eq!((plain.kind(), plain.needs_engine()), ("compose", true));
    let all = "git = { path = \"/srv/stack\" }\ncompose = { file = \"deploy/./compose.yml\", project = \"stack_1\", services = [\"api\", \"Web.2\"], profiles = \"live\", env_file = \"/etc/stack.env\" }";
    let parts = parts_of(all);
    let compose = Compose {
        file: PathBuf::from("deploy/compose.yml"),
        project: Some("stack_1".to_owned()),
        services: words(&["api", "Web.2"]),
        profiles: words(&["live"]),
        env_file: Some(PathBuf::from("/etc/stack.env")),
    };
    assert_eq!(parts.compose, Some(compose));
    let file = parts.compose_file();
    assert_eq!(file, Some(PathBuf::from("/srv/stack/deploy/compose.yml")));
    assert_eq!(parts.kind(), "compose");
}

#[test]
fn a_compose_project_that_cannot_be_is_refused() {
    let with = |more: &str| format!("compose = {{ file = \"/srv/c.yml\", {more} }}");
    refused(&[
        ("compose = \"/srv/c.yml\"", "compose: expected a table"),
        ("compose = {}", "compose.file: is missing"),
        (
            "compose = { file = \"c.yml\" }",
            "compose.file: expected an absolute path, found \"c.yml\": only with `git`",
        ),
        (
            "git = { path = \"/srv/app\" }\ncompose = { file = \"../c.yml\" }",
            "compose.file: expected a path without",
        ),
        (
            &with("env_file = \".env\""),
            "compose.env_file: expected an absolute path",
        ),
        (
            &with("project = \"Stack\""),
            "compose.project: expected a project's name",
        ),
        (
            &with("project = \"-p\""),
            "compose.project: expected a project's name",
        ),
        (
            &with("project = \"\""),
            "compose.project: expected a project's name",
        ),
        (
            &with("services = []"),
            "compose.services: expected a service of the Compose file or a list of them, found an empty list",
        ),
        (
            &with("services = [\"--build\"]"),
            "compose.services: expected the name of a service",
        ),
        (
            &with("services = [\"a b\"]"),
            "compose.services: expected the name of a service",
        ),
        (
            &with("profiles = [\"-x\"]"),
            "compose.profiles: expected the name of a profile",
        ),
        (
            &with("profiles = [3]"),
            "compose.profiles: expected the name of a profile",
        ),
        (&with("build = true"), "compose.build: unknown key"),
    ]);
}

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

#[test]
fn a_backup_is_of_places_that_are_apart() {
    let parts = parts_of("command = { run = [\"a\"] }\nbackup = { paths = \"/srv/data\" }");
    let backup = Backup {
        paths: vec![PathBuf::from("/srv/data")],
        keep: 5,
        restore: false,
    };
    assert_eq!(parts.backup, Some(backup));
    let all = "command = { run = [\"a\"], stop = [\"b\"], start = [\"c\"] }\nbackup = { paths = [\"/srv/data\", \"/srv/data2\"], keep = 1, restore = true }";
    let backup = parts_of(all).backup.unwrap();
    let paths = [PathBuf::from("/srv/data"), PathBuf::from("/srv/data2")];
    assert_eq!(backup.paths, paths);
    assert_eq!((backup.keep, backup.restore), (1, true));
}

#[test]
fn a_backup_that_cannot_be_is_refused() {
    let with = |paths: &str| format!("command = {{ run = [\"a\"] }}\nbackup = {{ {paths} }}");
    refused(&[
        (&with(""), "backup.paths: is missing"),
        (
            &with("paths = []"),
            "backup.paths: expected a path or a list of paths, found an empty list",
        ),
        (
            &with("paths = [\"data\"]"),
            "backup.paths: expected an absolute path",
        ),
        (
            &with("paths = [\"/\"]"),
            "backup.paths: expected a path below",
        ),
        (
            &with("paths = [\"/srv/a/\", \"/srv/a\"]"),
            "backup.paths: \"/srv/a\" is backed up with \"/srv/a\" already",
        ),
        (
            &with("paths = [\"/srv/a/b\", \"/srv/a\"]"),
            "backup.paths: \"/srv/a/b\" is backed up with \"/srv/a\" already",
        ),
        (
            &with("paths = [\"/srv/a\", \"/srv/a/b\"]"),
            "backup.paths: \"/srv/a/b\" is backed up with \"/srv/a\" already",
        ),
        (
            &with("paths = [\"/srv/a\"], keep = 0"),
            "backup.keep: expected how many backups are kept, from 1 to 1000, found 0",
        ),
        (
            &with("paths = [\"/srv/a\"], keep = 1001"),
            "backup.keep: expected how many",
        ),
        (
            &with("paths = [\"/srv/a\"], keep = \"5\""),
            "backup.keep: expected how many",
        ),
        (
            &with("paths = [\"/srv/a\"], restore = 1"),
            "backup.restore: expected true or false",
        ),
        (
            &with("paths = [\"/srv/a\"], exclude = []"),
            "backup.exclude: unknown key",
        ),
    ]);
}

#[test]
fn a_user_is_a_name() {
    for user in [
        "\"\"",
        "1000",
        "\"-u\"",
        "\"1000\"",
        "\"pi:pi\"",
        "\"a b\"",
        "\"root\\n\"",
    ] {
        let told = told_of(&format!("command = {{ run = [\"a\"] }}\nuser = {user}"));
        assert!(
            told.starts_with("user: expected a user's name"),
            "{user}: {told}"
        );
    }
}

#[test]
fn what_is_journalled_is_read_again() {
    let parts = parts_of(
        "user = \"pi\"\ngit = { path = \"/srv/app\" }\nbackup = { paths = [\"/srv/data\"] }\n\
         command = { run = [\"a\"], rollback = [\"b\"], env = { X = \"1\" }, timeout = \"90s\" }",
    );
    let text = serde_json::to_string(&parts).unwrap();
    assert_eq!(serde_json::from_str::<Parts>(&text).unwrap(), parts);
}

#[test]
fn data_are_not_restored_under_what_nothing_stops() {
    let restore = "backup = { paths = [\"/srv/data\"], restore = true }";
    for running in [
        "git = { path = \"/srv/app\" }",
        "command = { run = [\"a\"] }",
    ] {
        let told = told_of(&format!("{running}\n{restore}"));
        assert!(
            told.contains("backup.restore: restore = true needs `command.stop`"),
            "{told}"
        );
    }
    parts_of(&format!("compose = {{ file = \"/srv/c.yml\" }}\n{restore}"));
}

#[test]
fn a_checkout_may_bring_the_programs_whose_paths_lead_into_it_and_no_others() {
    let git = "git = { path = \"/srv/app\" }\n";
    let may = |keys: &str, program| {
        let dir = format!("{git}command = {{ run = [\"true\"]{keys} }}");
        parts_of(&dir).in_checkout(program).is_some()
    };
    assert!(may("", "./update") && may(", dir = \"/srv/app/bin\"", "../update"));
    assert!(may(", dir = \"/srv\"", "app/update"));
    assert!(may("", "/srv/app/update"), "also by its whole path");
    assert!(!may("", "update") && !may("", "../update"));
    assert!(!may(", dir = \"/srv/other\"", "./update"));
    assert!(!may(", dir = \"/srv/app2\"", "./update"));
    let plain = parts_of("command = { run = [\"true\"] }");
    assert_eq!(plain.in_checkout("./update"), None);
}
