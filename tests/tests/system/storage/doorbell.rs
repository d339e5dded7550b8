//! What a doorbell costs, and that it outlives the hub's memory.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    doorbell::{Doorbell, hello},
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
    let operator = token(Role::Operator, "ops", &["*"])?;
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
    let operator = token(Role::Operator, "ops", &["octo-org/*"])?;
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

/// Rows are what the free plan has fewest of: 100,000 written a day. One of each of these is the day's counts,
/// which are not written with each event any more once there were many.
#[test]
fn a_deploy_costs_these_rows_and_no_more() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "thrifty", &["octo-org/*"])?;
    let marks = json!({ "octo-org/thrifty": "0.0" });
    let mut bell = Doorbell::greet(&relay, &pi, &marks)?;
    run("octo-org/thrifty", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    bell.ring()?;
    mailbox(&relay, "octo-org/thrifty", 1)?;
    settled(&relay)?;
    let costs = |what: &'static str| -> Result<(&str, u64)> {
        let rows = relay.counts()?["rows_written"].as_u64().unwrap_or(0);
        relay.reset_counts()?;
        Ok((what, rows))
    };
    costs("all of that")?;
    let sent = run("octo-org/thrifty", 2)?.send(&relay.url, WEBHOOK_SECRET)?;
    let intent = sent.json()?["intent"].clone();
    bell.ring()?;
    mailbox(&relay, "octo-org/thrifty", 2)?;
    settled(&relay)?;
    let mut cost = vec![costs("a delivery, its alarm included")?];
    for (what, more) in [
        ("an acknowledgement", json!({ "matched": ["web"] })),
        (
            "a report",
            json!({ "service": "web", "outcome": "applying" }),
        ),
        (
            "a later phase",
            json!({ "service": "web", "outcome": "succeeded" }),
        ),
        (
            "the same again",
            json!({ "service": "web", "outcome": "succeeded" }),
        ),
    ] {
        let mut report = json!({
            "type": "report", "intent": intent, "attempt": 1, "started_at": "2026-11-20T15:00:01Z",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            report[name] = value.clone();
        }
        bell.say(&report)?;
        bell.frame()?;
        cost.push(costs(what)?);
    }
    bell.close()?;
    bell = Doorbell::greet(&relay, &pi, &marks)?;
    bell.ring()?;
    cost.push(costs(
        "a connection and its hello, with nothing new to say",
    )?);
    let wanted = [
        ("a delivery, its alarm included", 8),
        ("an acknowledgement", 2),
        ("a report", 3),
        ("a later phase", 3),
        ("the same again", 1),
        ("a connection and its hello, with nothing new to say", 2),
    ];
    assert_eq!(cost, wanted);
    Ok(())
}

#[test]
fn a_hub_that_fails_closes_the_doorbell_and_the_next_one_gets_what_was_missed() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "persists", &["octo-org/*"])?;
    let marks = json!({ "octo-org/failing-frame": "0.0" });
    let mut bell = Doorbell::connect(&relay, &pi)?;
    relay.fail("sql", 1)?;
    bell.say(&hello(&marks))?;
    let (code, reason) = bell.closed()?;
    assert_eq!(code, 1011, "{reason}");
    run("octo-org/failing-frame", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    let mut bell = Doorbell::greet(&relay, &pi, &marks)?;
    assert_eq!(bell.ring()?.1, 1);
    relay.fail("sql", 1)?;
    let report = json!({
        "type": "report", "intent": "in_aaaaaaaaaaaaaaaaaaaaaaaaaa", "attempt": 1,
        "started_at": "2026-11-20T15:00:01Z",
    });
    bell.say(&report)?;
    assert_eq!(
        bell.closed()?.0,
        1011,
        "no report that was not kept is acknowledged"
    );
    Ok(())
}
