//! How one version takes the other's place.

use super::*;
use crate::settings::StartFirst;

const APP: &str = "docker = { container = \"app\" }\nstrategy = \"start-first\"";

fn start_first(lines: &str) -> Option<StartFirst> {
    let text = with_app(&format!("docker = {{ container = \"app\" }}\n{lines}"));
    let settings = Settings::parse(&text, "towline.toml");
    let mut services = settings.unwrap_or_else(|told| panic!("{told:?}")).services;
    services.remove(0).start_first
}

#[test]
fn the_old_version_is_stopped_first_unless_the_file_says_otherwise() {
    assert_eq!(start_first(""), None);
    assert_eq!(start_first("strategy = \"stop-first\""), None);
    let plain = StartFirst {
        drain: Duration::from_secs(5),
        may_stop_first: false,
        shared_volumes: Vec::new(),
    };
    assert_eq!(start_first("strategy = \"start-first\""), Some(plain));
    let all = StartFirst {
        drain: Duration::from_secs(90),
        may_stop_first: true,
        shared_volumes: words(&["/data", "/var/cache"]),
    };
    let lines = "strategy = \"start-first\"\ndrain = \"90s\"\nfallback = \"stop-first\"\nshared_volumes = [\"/data/\", \"/var/cache\"]";
    assert_eq!(start_first(lines), Some(all));
}

#[test]
fn what_is_not_known_or_does_not_belong_is_told() {
    let docker = "docker = { container = \"app\" }";
    let with = |lines: &str| format!("{APP}\n{lines}");
    for (lines, expected) in [
        (
            format!("{docker}\nstrategy = \"blue-green\""),
            "strategy: expected \"stop-first\" or \"start-first\", found \"blue-green\"",
        ),
        (
            format!("{docker}\ndrain = \"5s\""),
            "drain: is for strategy = \"start-first\": write that too",
        ),
        (
            format!("{docker}\nstrategy = \"stop-first\"\nfallback = \"stop-first\""),
            "fallback: is for strategy = \"start-first\"",
        ),
        (
            format!("{docker}\nshared_volumes = \"/data\""),
            "shared_volumes: is for strategy = \"start-first\"",
        ),
        (
            with("fallback = true"),
            "fallback: expected \"stop-first\", found true",
        ),
        (with("drain = \"0s\""), "drain: expected a duration"),
        (
            with("shared_volumes = \"data\""),
            "shared_volumes: expected where a volume is mounted in the container",
        ),
        (
            with("shared_volumes = []"),
            "shared_volumes: expected where a volume is mounted in the container",
        ),
    ] {
        let told = told_of(&lines);
        assert!(told.starts_with(expected), "{lines}: {told}");
    }
}

#[test]
fn only_a_container_can_run_beside_the_one_before_it() {
    for parts in [
        "compose = { file = \"/srv/c.yml\" }",
        "compose = { file = \"c.yml\" }\ngit = { path = \"/srv/app\" }",
        "command = { run = [\"a\"] }",
        "git = { path = \"/srv/app\" }",
    ] {
        let told = told_of(&format!("{parts}\nstrategy = \"start-first\""));
        assert!(
            told.starts_with("strategy: is for `docker`: take it away"),
            "{told}"
        );
    }
}

#[test]
fn a_check_that_the_old_version_would_answer_is_refused() {
    let check = |check: &str| format!("{APP}\nhealth = {{ {check} }}");
    refused(&[
        (
            &check("http = \"http://127.0.0.1:8080/up?key=secret\""),
            "health.http: with strategy = \"start-first\" the old version runs meanwhile and would answer: ask the new one at \
             its own address, http = \"http://{container}:8080/health\", or by exec or docker = true",
        ),
        (
            &check("tcp = \"localhost:5432\""),
            "health.tcp: with strategy = \"start-first\" the old version runs meanwhile and would answer: ask the new one at \
             its own address, tcp = \"{container}:5432\"",
        ),
    ]);
    for good in [
        "http = \"http://{container}:8080/\"",
        "tcp = \"{container}:80\"",
        "exec = [\"/up\"]",
        "docker = true",
    ] {
        let text = with_app(&check(good));
        assert!(Settings::parse(&text, "towline.toml").is_ok(), "{good}");
    }
}
