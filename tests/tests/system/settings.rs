//! A relay that is set up wrongly says so to its operator, and to nobody else.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use towline_protocol::{Claims, Glob, Role, Secret, TokenKey};
use towline_tests::{
    github::Delivery,
    http::get,
    place,
    relay::{Face, Relay, WEBHOOK_SECRET, token},
    wait::until,
};

fn relay(secrets: &Value, vars: &Value) -> Result<Relay> {
    Relay::with(Face::Deployed, secrets, vars)
}

/// One delivery of each event that may become an intent.
const DELIVERIES: [&str; 5] = [
    "workflow_run.completed",
    "push",
    "registry_package.published",
    "release.published",
    "deployment.created",
];

/// The relay is alive, its webhook answers 503 to each event and leaks nothing, its log names the variable.
fn webhook_is_503(relay: &Relay, variable: &str) -> Result<()> {
    assert_eq!(get(&format!("{}/health", relay.url), &[])?.status, 200);
    for name in DELIVERIES {
        let answer = Delivery::fixture(name)?.send(&relay.url, WEBHOOK_SECRET)?;
        assert_eq!(answer.status, 503, "{name}: {}", answer.body);
        assert!(!answer.body.contains(variable), "{}", answer.body);
    }
    let logged = until("the log", Duration::from_secs(5), || {
        Ok(Some(relay.output()).filter(|output| output.contains(variable)))
    });
    logged.map(drop)
}

#[test]
fn without_secrets_it_serves_health_and_nothing_else() -> Result<()> {
    let vars = json!({ "HOOKS": "octo-org/web/1", "RETENTION": "1d" });
    let relay = relay(&json!({ "TOKEN_KEY": "short" }), &vars)?;
    webhook_is_503(&relay, "WEBHOOK_SECRET")?;
    let pi = token(Role::Host, "pi", &["*"])?;
    assert_eq!(
        relay
            .get("/v1/intents?channel=octo-org/web@0.0", &pi)?
            .status,
        503
    );
    for (cron, problem) in [
        ("*/5 * * * *", "GITHUB_TOKEN is not set, and HOOKS is"),
        ("7 * * * *", "RETENTION is \"1d\""),
    ] {
        relay.scheduled(cron)?;
        until(problem, Duration::from_secs(5), || {
            Ok(relay.output().contains(problem).then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn a_misspelt_gate_admits_nothing_and_half_a_policy_no_job() -> Result<()> {
    let secrets = json!({ "WEBHOOK_SECRET": WEBHOOK_SECRET, "TOKEN_KEY": "k".repeat(32) });
    let half = json!({ "repository_ids": [1_296_269], "workflows": ["redeploy.yml"] });
    let vars = json!({
        "gate": { "branch": ["main"] }, "oidc": half, "PUBLIC_URL": "https://relay.octo-org.example",
    });
    let relay = relay(&secrets, &vars)?;
    webhook_is_503(&relay, "gate")?;
    let order = relay.post(
        "/v1/intents",
        "a.b.c",
        &json!({ "channel": "octo-org/web" }),
    )?;
    assert_eq!(order.status, 503, "{}", order.body);
    assert!(!order.body.contains("oidc"), "{}", order.body);
    until("the log", Duration::from_secs(5), || {
        Ok(relay
            .output()
            .contains("oidc is wrong: refs is empty")
            .then_some(()))
    })
}

#[test]
fn a_gate_that_is_set_admits_what_it_names_and_nothing_else() -> Result<()> {
    let gate = json!({
        "repositories": ["octo-org/*"], "workflows": ["ci.yml"], "branches": ["main", "release/*", "v*"],
        "run_events": ["push", "workflow_dispatch"], "expires_in": "1h",
    });
    let secrets = json!({ "WEBHOOK_SECRET": WEBHOOK_SECRET, "TOKEN_KEY": "k".repeat(32) });
    let relay = relay(&secrets, &json!({ "gate": gate }))?;
    let first = Delivery::run(98, &"d".repeat(40))?
        .send(&relay.url, WEBHOOK_SECRET)?
        .json()?;
    is_the_contracts_intent(&relay, first["intent"].as_str().unwrap_or_default())?;
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
    let same_name = Delivery::fixture("workflow_run.same-name-in-another-file")?;
    let answer = same_name.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(answer.json()?["status"], "ignored", "{}", answer.body);
    for name in &DELIVERIES[1..] {
        let delivery = Delivery::fixture(name)?;
        let answer = delivery.send(&relay.url, WEBHOOK_SECRET)?.json()?;
        let reason = format!("{} events are not among the gate's sources", delivery.event);
        assert_eq!(
            (&answer["status"], &answer["reason"]),
            (&json!("ignored"), &json!(reason))
        );
    }
    let elsewhere = Delivery::run(99, &"d".repeat(40))?.of("elsewhere/web", 605);
    assert_eq!(
        elsewhere.send(&relay.url, WEBHOOK_SECRET)?.json()?["status"],
        "ignored"
    );
    Ok(())
}

/// The whole intent as the contract shows it, expiring an hour after it was made.
fn is_the_contracts_intent(relay: &Relay, id: &str) -> Result<()> {
    let path = "/v1/intents?channel=octo-org/web@0.0&fresh=1";
    let polled = relay.get(path, &token_with(&"k".repeat(32))?)?.json()?;
    let mut intent = polled["channels"]["octo-org/web"]["intents"][0].clone();
    let at = |name: &str| -> Result<Timestamp> {
        Ok(intent[name].as_str().unwrap_or_default().parse()?)
    };
    let lives = at("expires_at")?.duration_since(at("created_at")?);
    assert_eq!(lives, SignedDuration::from_hours(1));
    let epoch = intent["epoch"].as_u64();
    assert!(epoch > Some(1_700_000_000_000), "{intent}");
    for varying in ["epoch", "created_at", "expires_at"] {
        intent[varying] = Value::Null;
    }
    let expected = json!({
        "id": id, "channel": "octo-org/web", "epoch": null, "seq": 1, "created_at": null, "expires_at": null,
        "source": {
            "kind": "workflow_run", "repository_id": 1_296_269, "repository": "octo-org/web", "workflow_id": 77,
            "workflow": ".github/workflows/ci.yml", "run_id": 30_433_740, "run_number": 98, "run_attempt": 1,
            "event": "push", "actor": "octo-dev", "url": "https://github.com/octo-org/web/actions/runs/30433642",
        },
        "revision": { "sha": "d".repeat(40), "branch": "main", "tag": null },
        "image": null, "service": null, "hosts": [],
    });
    assert_eq!(intent, expected);
    Ok(())
}

/// A host's token that a relay with this TOKEN_KEY accepts.
fn token_with(key: &str) -> Result<String> {
    let channels = vec![Glob::new("*")];
    let claims = Claims {
        role: Role::Host,
        name: "pi".parse()?,
        channels,
        generation: 1,
        iat: 0,
    };
    let token = TokenKey::new(Secret::new(key))?.mint(&claims);
    Ok(token.expose_str().unwrap_or_default().to_owned())
}

#[test]
fn a_relay_that_is_dropped_leaves_no_process_behind() -> Result<()> {
    let relay = relay(&json!({}), &json!({}))?;
    let processes = descendants(relay.process_id())?;
    assert!(
        processes.iter().any(|(_, name)| name == "workerd"),
        "{processes:?}"
    );
    drop(relay);
    for (process, name) in processes {
        until(
            &format!("the end of {name}"),
            Duration::from_secs(10),
            || Ok((!Path::new(&format!("/proc/{process}")).exists()).then_some(())),
        )?;
    }
    Ok(())
}

/// The processes below one, with their names (proc(5), /proc/pid/task/tid/children).
fn descendants(process: u32) -> Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let children = fs::read_to_string(thread?.path().join("children"))?;
        for child in children.split_whitespace() {
            let child: u32 = child.parse()?;
            let name = fs::read_to_string(format!("/proc/{child}/comm"))?;
            found.push((child, name.trim().to_owned()));
            found.extend(descendants(child)?);
        }
    }
    Ok(found)
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
