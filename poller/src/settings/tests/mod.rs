//! The host's file, good and bad.

mod events;
mod file;
mod health;
mod service;

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
