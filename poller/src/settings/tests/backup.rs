//! Backups: what may stand there, and what not.

use std::path::PathBuf;

use super::*;

#[test]
fn a_backup_is_of_places_that_are_apart() {
    let parts = parts_of("command = { run = [\"a\"] }\nbackup = { paths = \"/srv/data\" }");
    let backup = Backup {
        paths: vec![PathBuf::from("/srv/data")],
        keep: 5,
        restore: false,
    };
    assert_eq!(parts.backup, Some(backup));
    let all = "command = { run = [\"a\"], stop = [\"b\"], start = [\"c\"], rollback = [\"d\"] }\nbackup = { paths = [\"/srv/data\", \"/srv/data2\"], keep = 1, restore = true }";
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
fn a_checkout_and_what_holds_it_are_no_data_and_the_folders_in_it_are() {
    let with = |path: &str| {
        format!("git = {{ path = \"/srv/app\" }}\nbackup = {{ paths = [\"{path}\"] }}")
    };
    for path in ["/srv/app", "/srv", "/srv/app/.git", "/srv/app/.git/refs"] {
        let told = told_of(&with(path));
        assert!(
            told.contains(&format!("backup.paths: {path} is the checkout's own")),
            "{told}"
        );
    }
    parts_of(&with("/srv/app/data"));
    parts_of(&with("/srv/application"));
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
fn data_are_not_restored_where_nothing_leads_back() {
    let with = |more: &str, keys: &str| {
        format!(
            "{more}command = {{ run = [\"a\"], stop = [\"b\"], start = [\"c\"]{keys} }}\n\
             backup = {{ paths = [\"/srv/data\"], restore = true }}"
        )
    };
    let told = told_of(&with("", ""));
    assert!(
        told.contains("backup.restore: there is no way back on which it would be restored"),
        "{told}"
    );
    parts_of(&with("", ", rollback = [\"d\"]"));
    parts_of(&with("git = { path = \"/srv/app\" }\n", ""));
}
