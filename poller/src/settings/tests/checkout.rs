//! Checkouts: what may stand there, and what not.

use std::path::PathBuf;

use super::*;

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
