//! What the hub does while KV takes its time: one put of a channel at a time, and none holds up another's.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use towline_tests::{
    relay::{Relay, WEBHOOK_SECRET},
    wait::until,
};

use super::{mailbox, quiet, relay, run};

fn puts(relay: &Relay, channel: &str) -> Result<Vec<Value>> {
    let counts = relay.counts()?;
    let puts = counts["puts"].as_array().into_iter().flatten();
    let key = format!("c/{channel}");
    Ok(puts.filter(|put| put["key"] == key).cloned().collect())
}

/// Waits until this many puts of a channel have begun.
fn begun(relay: &Relay, channel: &str, count: usize) -> Result<Vec<Value>> {
    until("the put", Duration::from_secs(20), || {
        Ok(Some(puts(relay, channel)?).filter(|puts| puts.len() >= count))
    })
}

fn send(relay: &Relay, channel: &str, number: u64) -> Result<()> {
    let sent = run(channel, number)?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(sent.status, 202, "{}", sent.body);
    Ok(())
}

fn assert_one_at_a_time(puts: &[Value]) {
    for pair in puts.windows(2) {
        let (done, next) = (pair[0]["done_ms"].as_u64(), pair[1]["at_ms"].as_u64());
        assert!(done.is_some() && next >= done, "{puts:?}");
    }
}

#[test]
fn what_arrives_during_a_slow_put_waits_for_it_and_is_put_together() -> Result<()> {
    let relay = relay()?;
    let channel = "octo-org/slow";
    relay.slow(3000)?;
    send(&relay, channel, 1)?;
    begun(&relay, channel, 1)?;
    send(&relay, channel, 2)?;
    send(&relay, channel, 3)?;
    mailbox(&relay, channel, 3)?;
    quiet(&relay)?;
    let puts = puts(&relay, channel)?;
    assert_one_at_a_time(&puts);
    let heads: Vec<_> = puts.iter().map(|put| put["head"].as_u64()).collect();
    assert_eq!(heads, [Some(1), Some(3)]);
    Ok(())
}

#[test]
fn what_arrives_during_a_slow_put_that_fails_is_put_by_the_alarm() -> Result<()> {
    let relay = relay()?;
    let channel = "octo-org/slow-fails";
    relay.slow(3000)?;
    relay.fail("put", 1)?;
    send(&relay, channel, 1)?;
    begun(&relay, channel, 1)?;
    send(&relay, channel, 2)?;
    send(&relay, channel, 3)?;
    mailbox(&relay, channel, 3)?;
    quiet(&relay)?;
    let puts = puts(&relay, channel)?;
    assert_one_at_a_time(&puts);
    assert_eq!(puts[0]["ok"], false, "{puts:?}");
    assert_eq!(puts.last().map(|put| put["head"].as_u64()), Some(Some(3)));
    Ok(())
}

#[test]
fn a_slow_put_holds_up_no_other_channels_repeat() -> Result<()> {
    let relay = relay()?;
    let channels = ["octo-org/a-slow", "octo-org/b-waits"];
    relay.fail("put", 2)?;
    for channel in channels {
        send(&relay, channel, 1)?;
        begun(&relay, channel, 1)?;
    }
    relay.slow(4000)?;
    let [slow, waits] = channels.map(|channel| begun(&relay, channel, 2));
    let (slow, waits) = (&slow?[1], &waits?[1]);
    let at = |put: &Value| put["at_ms"].as_u64().unwrap_or(0);
    assert!(at(slow).abs_diff(at(waits)) < 2000, "{slow} {waits}");
    Ok(())
}

#[test]
fn a_put_that_hangs_is_given_up_and_when_it_lands_late_it_is_repaired() -> Result<()> {
    let relay = relay()?;
    let channel = "octo-org/hangs";
    relay.slow(20_000)?;
    send(&relay, channel, 1)?;
    begun(&relay, channel, 1)?;
    relay.slow(0)?;
    send(&relay, channel, 2)?;
    mailbox(&relay, channel, 2)?;
    // The first one lands over the second, and the third repairs that.
    let puts = begun(&relay, channel, 3)?;
    let heads: Vec<_> = puts.iter().map(|put| put["head"].as_u64()).collect();
    assert_eq!(heads, [Some(1), Some(2), Some(2)]);
    assert!(
        puts[0]["done_ms"].as_u64() > puts[1]["done_ms"].as_u64(),
        "{puts:?}"
    );
    mailbox(&relay, channel, 2)?;
    let counts = quiet(&relay)?;
    assert_eq!(relay.mailbox(channel)?["head"], 2);
    assert_eq!(counts["kv_writes"], 3, "{counts}");
    Ok(())
}
