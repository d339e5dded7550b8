//! A relay that is set up wrongly says so to its operator, and to nobody else.

use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    github::Delivery,
    http::get,
    place,
    relay::{Face, Relay, WEBHOOK_SECRET, token},
};

fn relay(secrets: &Value, vars: &Value) -> Result<Relay> {
    Relay::with(Face::Deployed, secrets, vars)
}

/// The relay is alive, its webhook answers 503 and leaks nothing, its log names the variable.
fn webhook_is_503(relay: &Relay, variable: &str) -> Result<()> {
    assert_eq!(get(&format!("{}/health", relay.url), &[])?.status, 200);
    let answer = Delivery::run(1, &"c".repeat(40))?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(!answer.body.contains(variable), "{}", answer.body);
    let logged = towline_tests::wait::until("the log", std::time::Duration::from_secs(5), || {
        Ok(Some(relay.output()).filter(|output| output.contains(variable)))
    });
    logged.map(drop)
}

#[test]
fn without_secrets_it_serves_health_and_nothing_else() -> Result<()> {
    let relay = relay(&json!({ "TOKEN_KEY": "short" }), &json!({}))?;
    webhook_is_503(&relay, "WEBHOOK_SECRET")?;
    let pi = token(Role::Host, "pi", &["*"])?;
    assert_eq!(
        relay
            .get("/v1/intents?channel=octo-org/web@0.0", &pi)?
            .status,
        503
    );
    Ok(())
}

#[test]
fn a_misspelt_gate_admits_nothing() -> Result<()> {
    let secrets = json!({ "WEBHOOK_SECRET": WEBHOOK_SECRET, "TOKEN_KEY": "k".repeat(32) });
    let relay = relay(&secrets, &json!({ "gate": { "branch": ["main"] } }))?;
    webhook_is_503(&relay, "gate")
}

#[test]
fn a_gate_that_is_set_admits_what_it_names_and_nothing_else() -> Result<()> {
    let gate = json!({
        "repositories": ["octo-org/*"], "workflows": ["ci.yml"], "branches": ["main", "release/*", "v*"],
        "run_events": ["push", "workflow_dispatch"], "expires_in": "1h",
    });
    let secrets = json!({ "WEBHOOK_SECRET": WEBHOOK_SECRET, "TOKEN_KEY": "k".repeat(32) });
    let relay = relay(&secrets, &json!({ "gate": gate }))?;
    let mut number = 0;
    let mut said = |change: &dyn Fn(&mut Value)| -> Result<Value> {
        number += 1;
        let mut run = Delivery::run(number, &"d".repeat(40))?;
        change(&mut run.body["workflow_run"]);
        Ok(run.send(&relay.url, WEBHOOK_SECRET)?.json()?["status"].clone())
    };
    assert_eq!(said(&|_| ())?, "queued");
    assert_eq!(
        said(&|run| run["head_branch"] = json!("release/2026/11"))?,
        "queued"
    );
    assert_eq!(said(&|run| run["head_branch"] = json!("v1.2.3"))?, "queued");
    assert_eq!(
        said(&|run| run["event"] = json!("workflow_dispatch"))?,
        "queued"
    );
    assert_eq!(
        said(&|run| run["head_branch"] = json!("feature"))?,
        "ignored"
    );
    assert_eq!(
        said(&|run| run["path"] = json!(".github/workflows/other.yml"))?,
        "ignored"
    );
    assert_eq!(said(&|run| run["event"] = json!("schedule"))?, "ignored");
    let elsewhere = Delivery::run(99, &"d".repeat(40))?.of("elsewhere/web", 605);
    assert_eq!(
        elsewhere.send(&relay.url, WEBHOOK_SECRET)?.json()?["status"],
        "ignored"
    );
    Ok(())
}

#[test]
fn wrangler_would_deploy_it_without_a_kv_id() -> Result<()> {
    let out = tempfile::tempdir()?;
    let mut wrangler = Command::new(place::root().join("node_modules/.bin/wrangler"));
    wrangler
        .current_dir(place::root())
        .args(["deploy", "--dry-run", "--outdir"])
        .arg(out.path());
    wrangler
        .env("WRANGLER_SEND_METRICS", "false")
        .env("TOWLINE_WASM_OPT", "off");
    let bin = place::root().join("node_modules/.bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)))?;
    let output = wrangler.env("PATH", path).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("MAILBOXES") && said.contains("HUB"), "{said}");
    Ok(())
}
