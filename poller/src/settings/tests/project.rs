//! Compose projects: what may stand there, and what not.

use std::path::PathBuf;

use super::*;

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
