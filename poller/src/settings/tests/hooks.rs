//! What runs before and after a deploy.

use super::*;
use crate::settings::{Call, Hook, Hooks};

/// The hooks of the service `web` with this line.
fn hooks(line: &str) -> Hooks {
    let text = GOOD.replace("keep = 3", line);
    let services = Settings::parse(&text, "towline.toml").unwrap().services;
    services.into_iter().nth(1).unwrap().hooks
}

#[test]
fn a_hook_is_a_program_of_this_host_or_one_in_the_container() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let read = hooks(
        "hooks = { before = { run = [\"/usr/bin/idle\", \"-q\"], timeout = \"10s\" }, after = { exec = [\"/smoke\"] } }",
    );
    let before = Hook {
        call: Call::Run(words("/usr/bin/idle -q")),
        timeout: Duration::from_secs(10),
    };
    let after = Hook {
        call: Call::Exec {
            argv: words("/smoke"),
            of: None,
        },
        timeout: Duration::from_secs(300),
    };
    let expected = Hooks {
        before: Some(before),
        after: Some(after),
    };
    assert_eq!(read, expected);
    assert_eq!(hooks("keep = 3"), Hooks::default());
}

#[test]
fn a_hook_that_says_too_little_or_too_much_is_told_at_its_place() {
    for (line, told) in [
        ("hooks = 3", "service.web.hooks: expected"),
        (
            "hooks = { before = {} }",
            "service.web.hooks.before.run: is missing",
        ),
        (
            "hooks = { before = { run = \"idle\" } }",
            "service.web.hooks.before.run: expected a list",
        ),
        (
            "hooks = { before = { run = [\"a\"], exec = [\"b\"] } }",
            "service.web.hooks.before.exec: a hook is either `run`",
        ),
        (
            "hooks = { after = { exec = [\"b\"], service = \"db\" } }",
            "service.web.hooks.after.service: is for `exec` in a container of a project",
        ),
        (
            "hooks = { after = { run = [\"b\"], timeout = \"0s\" } }",
            "service.web.hooks.after.timeout: expected a duration",
        ),
        (
            "hooks = { befor = { run = [\"b\"] } }",
            "service.web.hooks.befor: unknown key; did you mean `before`?",
        ),
    ] {
        let all = after("keep = 3", line);
        assert!(all.iter().any(|it| it.contains(told)), "{line}: {all:?}");
    }
}

#[test]
fn in_a_project_a_hook_names_whose_container_and_a_command_has_none() {
    let project = |hook: &str| {
        let file = "compose = { file = \"/srv/compose.yml\" }";
        format!("{file}\nhooks = {{ before = {hook} }}")
    };
    let told = told_of(&project("{ exec = [\"pg_dump\"] }"));
    assert!(
        told.starts_with("hooks.before.service: is missing"),
        "{told}"
    );
    let good = with_app(&project("{ exec = [\"pg_dump\"], service = \"db\" }"));
    let app = Settings::parse(&good, "towline.toml")
        .unwrap()
        .services
        .remove(0);
    let before = app.hooks.before.unwrap();
    assert!(matches!(before.call, Call::Exec { of: Some(of), .. } if of == "db"));
    let command = "command = { run = [\"/bin/true\"] }";
    let told = told_of(&format!(
        "{command}\nhooks = {{ before = {{ exec = [\"x\"] }} }}"
    ));
    assert!(
        told.starts_with("hooks.before.exec: a checkout and a command"),
        "{told}"
    );
}
