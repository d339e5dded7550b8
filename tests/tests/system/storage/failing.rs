//! What the hub survives: a database, an alarm, a KV that fail for a while, and being dropped.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use towline_tests::{relay::WEBHOOK_SECRET, wait::until};

use super::{mailbox, relay, run, settled};

#[test]
fn an_alarm_that_meets_a_failing_database_is_set_again() -> Result<()> {
    let relay = relay()?;
    relay.fail("put", 1)?;
    let sent = run("octo-org/alarm-sql", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(sent.status, 202);
    until("the failed put", Duration::from_secs(2), || {
        Ok((relay.counts()?["failing"]["put"] == 0).then_some(()))
    })?;
    relay.fail("sql", 1)?;
    mailbox(&relay, "octo-org/alarm-sql", 1)?;
    let counts = relay.counts()?;
    assert_eq!(counts["failing"]["sql"], 0, "{counts}");
    Ok(())
}

#[test]
fn an_alarm_that_cannot_be_set_again_is_repeated_by_the_runtime() -> Result<()> {
    let relay = relay()?;
    relay.fail("put", 2)?;
    let sent = run("octo-org/alarm-set", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(sent.status, 202);
    relay.fail("alarm", 1)?;
    mailbox(&relay, "octo-org/alarm-set", 1)?;
    let counts = relay.counts()?;
    assert_eq!(counts["failing"]["alarm"], 0, "{counts}");
    Ok(())
}

#[test]
fn an_alarm_that_cannot_be_set_with_a_delivery_takes_the_delivery_back() -> Result<()> {
    let relay = relay()?;
    relay.fail("alarm", 1)?;
    let send = || run("octo-org/no-alarm", 1)?.send(&relay.url, WEBHOOK_SECRET);
    assert_eq!(send()?.status, 503);
    let again = send()?;
    assert_eq!((again.status, &again.json()?["seq"]), (202, &json!(1)));
    Ok(())
}

#[test]
fn a_hub_that_could_not_open_its_database_tries_again_with_the_next_request() -> Result<()> {
    let relay = relay()?;
    run("octo-org/reopened", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    // An alarm would open the database before the delivery does.
    settled(&relay)?;
    relay.evict_hub()?;
    relay.fail("sql", 1)?;
    let send = || run("octo-org/reopened", 2)?.send(&relay.url, WEBHOOK_SECRET);
    assert_eq!(send()?.status, 503);
    let again = send()?;
    assert_eq!((again.status, &again.json()?["seq"]), (202, &json!(2)));
    let line = until("the log's line", Duration::from_secs(5), || {
        let log = relay.output();
        let mut lines = log.lines().rev();
        Ok(lines
            .find(|line| line.contains("503: storage: SQL: Error: sql fails"))
            .map(str::to_owned))
    })?;
    assert!(line.contains("because the test said so"), "{line}");
    Ok(())
}
