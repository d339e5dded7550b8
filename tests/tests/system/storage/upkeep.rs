//! The hourly upkeep, on the real Worker with its clock set ahead.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::relay::{Relay, WEBHOOK_SECRET, token};

use super::{mailbox, relay, run, settled};

const UPKEEP: &str = "7 * * * *";

/// So much later a mailbox in KV is no older copy any more.
const LATER: Duration = Duration::from_secs(700);

const WEEKS: Duration = Duration::from_secs(36 * 86_400);

fn deliver(relay: &Relay, channel: &str, numbers: std::ops::RangeInclusive<u64>) -> Result<()> {
    for number in numbers {
        let answer = run(channel, number)?.send(&relay.url, WEBHOOK_SECRET)?;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    Ok(())
}

/// What the hub knows of a channel.
fn news(relay: &Relay, channel: &str) -> Result<Value> {
    let path = format!("/v1/intents?channel={channel}@0.0&fresh=1");
    let host = token(Role::Host, "pi", &["*"])?;
    Ok(relay.get(&path, &host)?.json()?["channels"][channel].clone())
}

fn seqs(news: &Value) -> Vec<u64> {
    let intents = news["intents"].as_array().into_iter().flatten();
    intents
        .filter_map(|intent| intent["seq"].as_u64())
        .collect()
}

#[test]
fn a_mailbox_that_kv_lost_is_put_again_and_one_that_is_there_is_not() -> Result<()> {
    let relay = relay()?;
    let (lost, kept) = ("octo-org/lost", "octo-org/kept");
    for channel in [lost, kept] {
        deliver(&relay, channel, 1..=2)?;
        mailbox(&relay, channel, 2)?;
    }
    settled(&relay)?;
    let epoch = relay.mailbox(lost)?["epoch"].clone();
    relay.put_mailbox(lost, &json!({ "epoch": epoch, "head": 1, "intents": [] }))?;
    relay.reset_counts()?;
    relay.ahead(LATER)?;
    relay.scheduled(UPKEEP)?;
    let again = mailbox(&relay, lost, 2)?;
    assert_eq!((&again["epoch"], seqs(&again)), (&epoch, vec![1, 2]));
    let counts = relay.counts()?;
    assert_eq!(
        (puts(&counts, lost), puts(&counts, kept)),
        (1, 0),
        "{counts}"
    );
    Ok(())
}

/// How often a channel's mailbox was put.
fn puts(counts: &Value, channel: &str) -> usize {
    let key = json!(format!("c/{channel}"));
    let puts = counts["puts"].as_array().into_iter().flatten();
    puts.filter(|put| put["key"] == key).count()
}

#[test]
fn many_mailboxes_that_are_wrong_at_once_are_put_once_each() -> Result<()> {
    let relay = relay()?;
    let channels: Vec<_> = (0..8).map(|n| format!("octo-org/wrong-{n}")).collect();
    for channel in &channels {
        deliver(&relay, channel, 1..=1)?;
    }
    for channel in &channels {
        mailbox(&relay, channel, 1)?;
    }
    settled(&relay)?;
    for (number, channel) in channels.iter().enumerate() {
        let epoch = relay.mailbox(channel)?["epoch"].as_u64();
        let beyond = if number < 4 { 0 } else { 1000 };
        let epoch = epoch.context("no epoch")? + beyond;
        relay.put_mailbox(
            channel,
            &json!({ "epoch": epoch, "head": 0, "intents": [] }),
        )?;
    }
    relay.reset_counts()?;
    relay.ahead(LATER)?;
    relay.scheduled(UPKEEP)?;
    for channel in &channels {
        mailbox(&relay, channel, 1)?;
    }
    let counts = settled(&relay)?;
    let of_each: Vec<_> = channels
        .iter()
        .map(|channel| puts(&counts, channel))
        .collect();
    assert_eq!(of_each, [1; 8], "{counts}");
    Ok(())
}

#[test]
fn mailboxes_that_were_all_lost_come_back_by_the_twenty_an_hour() -> Result<()> {
    let relay = relay()?;
    let channels: Vec<_> = (1..=22)
        .map(|n| format!("octo-org/all-lost-{}", "x".repeat(n)))
        .collect();
    for channel in &channels {
        deliver(&relay, channel, 1..=1)?;
    }
    for channel in &channels {
        let epoch = mailbox(&relay, channel, 1)?["epoch"].clone();
        relay.put_mailbox(
            channel,
            &json!({ "epoch": epoch, "head": 0, "intents": [] }),
        )?;
    }
    settled(&relay)?;
    let mut runs = 0;
    while channels
        .iter()
        .any(|channel| relay.mailbox(channel).is_ok_and(|kv| kv["head"] == 0))
    {
        relay.reset_counts()?;
        relay.ahead(LATER)?;
        relay.scheduled(UPKEEP)?;
        let puts = relay.counts()?["kv_writes"].as_u64();
        assert!(
            puts <= Some(20),
            "{runs}: {puts:?} in one hour: {}",
            relay.counts()?
        );
        runs += 1;
        assert!(runs <= 6, "some never come back");
    }
    assert!(runs >= 2);
    Ok(())
}

#[test]
fn an_hour_costs_one_hub_request_and_one_call_of_kv() -> Result<()> {
    let relay = relay()?;
    deliver(&relay, "octo-org/cheap", 1..=1)?;
    mailbox(&relay, "octo-org/cheap", 1)?;
    relay.reset_counts()?;
    relay.scheduled(UPKEEP)?;
    let counts = relay.counts()?;
    let of = |name: &str| counts[name].as_u64().unwrap_or(u64::MAX);
    assert_eq!((of("hub_requests"), of("kv_reads")), (1, 1), "{counts}");
    assert!(of("kv_keys_read") <= 99, "{counts}");
    assert_eq!((of("kv_lists"), of("kv_deletes")), (0, 0), "{counts}");
    Ok(())
}

#[test]
fn a_mailbox_of_another_hub_beyond_ours_gives_the_channel_a_higher_epoch() -> Result<()> {
    let relay = relay()?;
    let channel = "octo-org/overtaken";
    deliver(&relay, channel, 1..=2)?;
    let ours = mailbox(&relay, channel, 2)?["epoch"].as_u64();
    let theirs = ours.context("no epoch")? + 1000;
    relay.put_mailbox(
        channel,
        &json!({ "epoch": theirs, "head": 40, "intents": [] }),
    )?;
    relay.scheduled(UPKEEP)?;
    let raised = json!(theirs + 1);
    let in_kv = mailbox(&relay, channel, 2)?;
    let in_hub = news(&relay, channel)?;
    for news in [&in_kv, &in_hub] {
        assert_eq!(
            (&news["epoch"], seqs(news)),
            (&raised, vec![1, 2]),
            "{news}"
        );
        assert_eq!(news["intents"][0]["epoch"], raised, "{news}");
    }
    Ok(())
}

#[test]
fn what_is_older_than_the_retention_is_gone_but_for_the_window() -> Result<()> {
    let relay = relay()?;
    let channel = "octo-org/old";
    deliver(&relay, channel, 1..=18)?;
    let before = news(&relay, channel)?;
    assert_eq!(
        (before["pruned_before"].as_u64(), seqs(&before).len()),
        (Some(0), 18)
    );
    relay.ahead(WEEKS)?;
    relay.scheduled(UPKEEP)?;
    let after = news(&relay, channel)?;
    assert_eq!(after["pruned_before"], 3, "{after}");
    assert_eq!(
        (after["head"].as_u64(), seqs(&after)),
        (Some(18), (3..=18).collect())
    );
    let forgotten = format!(
        "/v1/intents/{}",
        before["intents"][0]["id"].as_str().unwrap_or_default()
    );
    let operator = token(Role::Operator, "ops", &["*"])?;
    assert_eq!(relay.get(&forgotten, &operator)?.status, 404);
    let known = run(channel, 3)?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(known.json()?["status"], "duplicate", "{}", known.body);
    deliver(&relay, channel, 19..=19)?;
    assert_eq!(mailbox(&relay, channel, 19)?["pruned_before"], 3);
    Ok(())
}

#[test]
fn without_hooks_no_delivery_is_looked_for_and_nothing_is_spent() -> Result<()> {
    let relay = relay()?;
    relay.scheduled("*/5 * * * *")?;
    assert_eq!(relay.counts()?["hub_requests"], 0);
    Ok(())
}

#[test]
fn a_trigger_that_is_not_known_is_told_and_does_nothing() -> Result<()> {
    let relay = relay()?;
    relay.scheduled("1 2 3 4 5")?;
    towline_tests::wait::until("the log", Duration::from_secs(5), || {
        Ok(relay.output().contains("cron \"1 2 3 4 5\"").then_some(()))
    })?;
    assert_eq!(relay.counts()?["hub_requests"], 0);
    Ok(())
}
