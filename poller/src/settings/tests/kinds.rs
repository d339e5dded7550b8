//! Which keys go together: a service is of one kind, and has the keys of that kind.

use super::*;

const COMPOSE: &str = "compose = { file = \"/srv/c.yml\" }";
const COMMAND: &str = "command = { run = [\"a\"] }";
const GIT: &str = "git = { path = \"/srv/app\" }";

#[test]
fn a_service_is_something() {
    for lines in ["", "user = \"pi\"", "backup = { paths = \"/srv/data\" }"] {
        let told = told_of(lines);
        assert!(
            told.starts_with("docker: is missing: say what is replaced")
                && told.contains("command = { run ="),
            "{told}"
        );
    }
}

#[test]
fn a_container_goes_with_nothing_else() {
    for (lines, key) in [
        (GIT, "git"),
        (COMPOSE, "compose"),
        (COMMAND, "command"),
        ("backup = { paths = \"/srv/data\" }", "backup"),
        ("user = \"pi\"", "user"),
    ] {
        let told = told_of(&format!("docker = {{ container = \"app\" }}\n{lines}"));
        let expected = format!("{key}: does not go with `docker`: ");
        assert!(told.starts_with(&expected), "{told}");
    }
}

#[test]
fn a_project_and_commands_do_not_go_together() {
    let told = told_of(&format!("{COMPOSE}\n{COMMAND}"));
    assert_eq!(told, "command: a service has either `compose` or `command`");
}

#[test]
fn a_key_of_another_kind_is_refused() {
    for (lines, expected) in [
        (
            format!("{COMPOSE}\nuser = \"pi\""),
            "user: is for `git` and `command`",
        ),
        (
            format!("{COMMAND}\nstop_timeout = \"5s\""),
            "stop_timeout: is for containers; commands have `timeout`",
        ),
        (
            format!("{COMMAND}\nimage = \"ghcr.io/octo-org/app\""),
            "image: is for images",
        ),
        (
            format!("{GIT}\nimage = \"ghcr.io/octo-org/app\""),
            "image: is for images",
        ),
        (
            format!("{GIT}\nimage_wait = \"5s\""),
            "image_wait: is for images",
        ),
        (
            format!("{COMPOSE}\nimage = \"ghcr.io/octo-org/app\""),
            "image: counts only with `on` = \"package\"",
        ),
        (
            format!("{GIT}\nstable_for = \"5s\""),
            "stable_for: there is nothing to watch",
        ),
    ] {
        let told = told_of(&lines);
        assert!(told.starts_with(expected), "{lines}: {told}");
    }
    let waits = format!(
        "{COMPOSE}\nstop_timeout = \"5s\"\nimage_wait = \"5s\"\nstable_for = \"5s\"\nkeep = 3"
    );
    assert_eq!(parts_of(&waits).kind(), "compose");
}

#[test]
fn a_published_image_deploys_only_what_goes_by_images() {
    let by_package = |lines: &str| {
        let lines =
            format!("on = [\"package\", \"push\"]\nbranch = \"main\"\ntag = \"v*\"\n{lines}");
        with_app(&lines).replace("channel = \"apps\"", "repository = \"octo-org/app\"")
    };
    let image = "image = \"ghcr.io/octo-org/app\"";
    let project = by_package(&format!("{COMPOSE}\n{image}"));
    assert!(Settings::parse(&project, "towline.toml").is_ok());
    for lines in [
        format!("{COMPOSE}\n{GIT}\n{image}"),
        GIT.to_owned(),
        COMMAND.to_owned(),
    ] {
        let told = mistakes(&by_package(&lines));
        let expected = "service.app.on: a published image says no commit";
        assert!(told.iter().any(|told| told.contains(expected)), "{told:?}");
    }
    // All at once, also with keys of images missing.
    let lines = format!("on = \"package\"\nkeep = 0\n{GIT}\n{image}");
    let told =
        mistakes(&with_app(&lines).replace("channel = \"apps\"", "repository = \"octo-org/app\""));
    for expected in [
        "service.app.on: a published image says no commit",
        "service.app.tag: is missing",
        "service.app.image: is for images",
        "service.app.keep: expected",
    ] {
        assert!(told.iter().any(|told| told.contains(expected)), "{told:?}");
    }
    let told = mistakes(&by_package(COMPOSE));
    assert!(
        told[0].contains("service.app.image: is missing: which"),
        "{told:?}"
    );
}

#[test]
fn a_check_that_a_service_can_never_pass_is_refused() {
    let check =
        |service: &str, check: &str| told_of(&format!("{service}\nhealth = [{{ {check} }}]"));
    for service in [GIT, COMMAND] {
        let told = check(service, "docker = true");
        assert_eq!(
            told,
            "health.docker: a checkout and a command have no container"
        );
    }
    let told = check(COMPOSE, "exec = [\"true\"]");
    assert!(
        told.starts_with("health.exec: a project has several containers"),
        "{told}"
    );
    for service in [GIT, COMMAND, COMPOSE] {
        let told = check(service, "http = \"http://{container}/\"");
        assert!(
            told.starts_with("health.http: {container} is for `docker`"),
            "{told}"
        );
        let told = check(service, "tcp = \"{container}:80\"");
        assert!(
            told.starts_with("health.tcp: {container} is for `docker`"),
            "{told}"
        );
    }
    parts_of(&format!(
        "{COMMAND}\nstable_for = \"5s\"\nhealth = [{{ exec = [\"./well.sh\"] }}]"
    ));
    parts_of(&format!(
        "{COMPOSE}\nhealth = [{{ docker = true }}, {{ tcp = \"127.0.0.1:80\" }}]"
    ));
}

#[test]
fn all_mistakes_of_all_parts_are_told_at_once() {
    let lines = "user = 0\ngit = { path = \"app\" }\nbackup = { paths = [] }\n[service.app.command]\nrun = []\ntimeout = 1\n\
        [service.app.command.env]\nTOWLINE_SHA = \"x\"\n[[service.app.health]]\ndocker = true\nwithin = 3";
    insta::assert_snapshot!(mistakes(&with_app(lines)).join("\n"));
}
