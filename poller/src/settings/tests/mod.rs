//! The host's file, good and bad.

mod backup;
mod checkout;
mod command;
mod events;
mod file;
mod health;
mod hooks;
mod kinds;
mod order;
mod parts;
mod project;
mod rolling;
mod service;
mod shared;
mod strategy;

use std::time::Duration;

use super::*;

const GOOD: &str = r#"
[relay]
url = "https://towline.example.workers.dev/"
token_file = "/etc/towline/token"

[service.web]
repository = "Octo-Org/Web"
workflow = "ci.yml"
branch = "main"
image = "ghcr.io/octo-org/web:sha-{short_sha}"
image_wait = "2m"
keep = 3

[service.web.docker]
container = "web"

[[service.web.health]]
http = "http://127.0.0.1:8080/health"
contains = "ok"
within = "90s"

[[service.web.health]]
docker = true

[service.tool]
channel = "tools"
docker = { container = "tool" }
"#;

fn mistakes(text: &str) -> Vec<String> {
    let mistakes = Settings::parse(text, "towline.toml").unwrap_err();
    mistakes.iter().map(Mistake::to_string).collect()
}

/// The mistakes of the good file after a change.
fn after(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    mistakes(&GOOD.replacen(from, to, 1))
}

/// The good file with a service `app` at its end, which has these lines.
fn with_app(lines: &str) -> String {
    format!("{GOOD}\n[service.app]\nchannel = \"apps\"\n{lines}\n")
}

/// The only mistake that these lines of a service make, after the service's name.
#[track_caller]
fn told_of(lines: &str) -> String {
    let mut told = mistakes(&with_app(lines));
    assert_eq!(told.len(), 1, "{lines}: {told:?}");
    let told = told.remove(0);
    let (place, told) = told.split_once(": service.app.").unwrap_or(("", &told));
    let line: usize = place.trim_start_matches("towline.toml:").parse().unwrap();
    assert!(with_app(lines).lines().count() >= line, "{told}");
    told.to_owned()
}

/// The parts of a service that has these lines.
#[track_caller]
fn parts_of(lines: &str) -> Parts {
    let settings = Settings::parse(&with_app(lines), "towline.toml");
    let services = settings.unwrap_or_else(|told| panic!("{told:?}")).services;
    let app = services
        .into_iter()
        .find(|service| service.name.as_str() == "app");
    match app.unwrap().work {
        Work::Parts(parts) => *parts,
        Work::Docker { .. } => panic!("{lines}"),
    }
}

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
