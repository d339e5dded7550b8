//! What a doorbell costs, and that it outlives the hub's memory.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    doorbell::Doorbell,
    relay::{WEBHOOK_SECRET, token},
};

use super::{mailbox, relay, run, settled};

#[test]
fn a_hub_that_was_dropped_from_memory_keeps_its_doorbells_and_who_listens() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "pi", &["octo-org/*"])?;
    let mut bell = Doorbell::greet(&relay, &pi, &json!({ "octo-org/asleep": "0.0" }))?;
    bell.is_quiet()?;
    for number in 1..=2 {
        relay.evict_hub()?;
        bell.is_quiet()?;
        assert_eq!(
            run("octo-org/asleep", number)?
                .send(&relay.url, WEBHOOK_SECRET)?
                .status,
            202
        );
        assert_eq!(bell.ring()?, ("octo-org/asleep".to_owned(), number));
        mailbox(&relay, "octo-org/asleep", number)?;
        settled(&relay)?;
        relay.reset_counts()?;
    }
    Ok(())
}

#[test]
fn a_connection_costs_one_hub_request_and_pings_and_rings_none() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "pi", &["octo-org/*"])?;
    let mut bell = Doorbell::greet(&relay, &pi, &json!({ "octo-org/rung": "0.0" }))?;
    for _ in 0..3 {
        bell.is_quiet()?;
    }
    assert_eq!(relay.counts()?["hub_requests"], 1);
    run("octo-org/rung", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    bell.ring()?;
    let counts = relay.counts()?;
    assert_eq!(counts["hub_requests"], 2, "{counts}");
    Ok(())
}

#[test]
fn the_days_counts_outlive_the_hubs_memory() -> Result<()> {
    let relay = relay()?;
    let operator = token(Role::Operator, "ada", &["*"])?;
    let today =
        || -> Result<Value> { Ok(relay.get("/v1/fleet", &operator)?.json()?["today"].clone()) };
    let before = today()?;
    run("octo-org/tallied", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    mailbox(&relay, "octo-org/tallied", 1)?;
    settled(&relay)?;
    relay.evict_hub()?;
    let after = today()?;
    if after["date"] == before["date"] {
        let grown =
            |count: &str| after[count].as_u64().unwrap_or(0) - before[count].as_u64().unwrap_or(0);
        assert_eq!(
            (grown("intents"), grown("kv_writes")),
            (1, 1),
            "{before} {after}"
        );
        // The first question itself, the delivery and the alarm.
        assert_eq!(grown("hub_requests"), 3, "{before} {after}");
    }
    Ok(())
}

#[test]
fn a_host_whose_pings_have_ceased_is_not_told_as_connected() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "lost-power", &["octo-org/*"])?;
    let operator = token(Role::Operator, "ada", &["octo-org/*"])?;
    let told = || -> Result<Value> {
        let fleet = relay.get("/v1/fleet", &operator)?.json()?;
        Ok(fleet["hosts"]["lost-power"].clone())
    };
    let mut bell = Doorbell::greet(&relay, &pi, &json!({ "octo-org/dark": "0.0" }))?;
    bell.is_quiet()?;
    let there = told()?;
    assert_eq!(there["connection"], "connected", "{there}");
    relay.evict_hub()?;
    bell.is_quiet()?;
    let pinged = told()?;
    assert_eq!(pinged["connection"], "connected", "{pinged}");
    assert!(
        pinged["seen_at"].as_str() > there["seen_at"].as_str(),
        "a ping is a sign of life: {there} {pinged}"
    );
    relay.ahead(Duration::from_secs(200))?;
    let gone = told()?;
    assert_eq!(gone["connection"], "polling", "{gone}");
    assert_eq!(gone["seen_at"], pinged["seen_at"], "{gone}");
    Ok(())
}
