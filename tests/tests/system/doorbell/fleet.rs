//! What an operator is told of the fleet.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    doorbell::{Doorbell, hello},
    relay::token,
    wait::until,
};

use super::{host, queue};
use crate::{refused, relay};

fn fleet(channels: &[&str]) -> Result<Value> {
    let operator = token(Role::Operator, "ops", channels)?;
    let answer = relay()?.get("/v1/fleet", &operator)?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[test]
fn the_fleet_tells_who_is_connected_what_runs_and_what_was_said_last() -> Result<()> {
    let marks = json!({ "octo-org/fleet": "0.0" });
    let running = json!({ "sha": "3484a3fb816e0859fd6e1cea078d76385ff50625", "digest": null });
    let mut said = hello(&marks);
    said["services"][0]["running"] = running.clone();
    let mut bell = Doorbell::connect(relay()?, &host("fleet-bell")?)?;
    bell.say(&said)?;
    bell.is_quiet()?;
    relay()?.post("/v1/hello", &host("fleet-poll")?, &hello(&marks))?;
    let intent = queue("octo-org/fleet", 1)?["intent"].clone();
    bell.ring()?;
    bell.say(&json!({
        "type": "report", "intent": intent, "service": "web", "attempt": 1, "outcome": "succeeded",
        "started_at": "2026-11-20T15:00:01Z",
    }))?;
    bell.frame()?;
    let seen = fleet(&["octo-org/fleet"])?;
    let hosts = seen["hosts"].as_object().unwrap();
    assert_eq!(
        hosts.keys().collect::<Vec<_>>(),
        ["fleet-bell", "fleet-poll"]
    );
    let (belled, polled) = (&hosts["fleet-bell"], &hosts["fleet-poll"]);
    assert_eq!(belled["connection"], "connected");
    assert_eq!(polled["connection"], "polling");
    assert_eq!(belled["version"], "0.1.0");
    let web = &belled["services"]["web"];
    assert_eq!(
        (&web["channel"], &web["kind"]),
        (&json!("octo-org/fleet"), &json!("docker"))
    );
    assert_eq!(web["running"], running);
    assert_eq!(web["last"]["intent"], intent);
    assert_eq!(web["last"]["outcome"], "succeeded");
    assert_eq!(polled["services"]["web"]["last"], Value::Null);
    bell.close()?;
    until(
        "the host to be seen as gone",
        Duration::from_secs(10),
        || {
            let seen = fleet(&["octo-org/fleet"])?;
            Ok((seen["hosts"]["fleet-bell"]["connection"] == "polling").then_some(()))
        },
    )
}

#[test]
fn todays_counts_grow_with_what_is_done() -> Result<()> {
    let before = fleet(&[])?["today"].clone();
    let mut bell = Doorbell::greet(
        relay()?,
        &host("counted")?,
        &json!({ "octo-org/counted": "0.0" }),
    )?;
    let intent = queue("octo-org/counted", 1)?["intent"].clone();
    bell.ring()?;
    bell.say(&json!({
        "type": "report", "intent": intent, "attempt": 1, "started_at": "2026-11-20T15:00:01Z",
    }))?;
    bell.frame()?;
    let today = fleet(&[])?["today"].clone();
    if today["date"] != before["date"] {
        // Midnight came in between.
        return Ok(());
    }
    for (count, least) in [
        ("hub_requests", 3),
        ("frames", 2),
        ("intents", 1),
        ("reports", 1),
    ] {
        let grown = today[count].as_u64().unwrap_or(0) - before[count].as_u64().unwrap_or(0);
        assert!(grown >= least, "{count}: {before} {today}");
    }
    Ok(())
}

#[test]
fn the_fleet_is_for_operators_and_their_channels_only() -> Result<()> {
    refused(&relay()?.get("/v1/fleet", &host("pi")?)?, 403, "forbidden");
    refused(
        &relay()?.get("/v1/fleet", "tl1.e30.AAAA")?,
        401,
        "bad_token",
    );
    let marks = json!({ "octo-org/hidden": "0.0" });
    relay()?.post("/v1/hello", &host("hidden")?, &hello(&marks))?;
    assert_eq!(fleet(&["elsewhere/*"])?["hosts"]["hidden"], Value::Null);
    assert_ne!(fleet(&["octo-org/hidden"])?["hosts"]["hidden"], Value::Null);
    Ok(())
}
