//! What the hub survives: a database, an alarm, a KV that fail for a while, and being dropped.

use std::{thread, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};
use towline_tests::{
    relay::{Relay, WEBHOOK_SECRET},
    wait::until,
};

use super::{mailbox, relay, run, settled};

/// Waits until the relay has logged a line with this in it.
fn logged(relay: &Relay, part: &str) -> Result<()> {
    until(part, Duration::from_secs(5), || {
        Ok(relay.output().contains(part).then_some(()))
    })
}

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
    logged(
        &relay,
        "503: storage: SQL: Error: sql fails because the test said so",
    )
}

#[test]
fn what_was_pending_when_the_hub_was_dropped_reaches_kv_without_a_further_request() -> Result<()> {
    let relay = relay()?;
    relay.fail("put", 1)?;
    let sent = run("octo-org/dropped", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(sent.status, 202);
    until("the failed put", Duration::from_secs(2), || {
        Ok((relay.counts()?["failing"]["put"] == 0).then_some(()))
    })?;
    relay.evict_hub()?;
    mailbox(&relay, "octo-org/dropped", 1)?;
    let counts = relay.counts()?;
    assert_eq!(counts["hub_requests"], 1, "{counts}");
    Ok(())
}

#[test]
fn ten_copies_of_a_first_delivery_at_once_become_one_intent() -> Result<()> {
    let relay = relay()?;
    let url = relay.url.as_str();
    let delivery = run("octo-org/copies", 1)?;
    let mut answers: Vec<(u16, Value)> = thread::scope(|scope| {
        let send = || scope.spawn(|| delivery.send(url, WEBHOOK_SECRET));
        let sends: Vec<_> = (0..10).map(|_| send()).collect();
        let answers = sends.into_iter().map(|send| send.join().expect("no panic"));
        let told = answers.map(|answer| {
            let answer = answer?;
            Ok((answer.status, answer.json()?["seq"].clone()))
        });
        told.collect::<Result<_>>()
    })?;
    answers.sort_by_key(|(status, _)| *status);
    let mut wanted = vec![(200, json!(1)); 9];
    wanted.push((202, json!(1)));
    assert_eq!(answers, wanted);
    mailbox(&relay, "octo-org/copies", 1)?;
    Ok(())
}

#[test]
fn a_delivery_whose_answer_was_lost_is_a_duplicate_when_it_comes_again() -> Result<()> {
    let relay = relay()?;
    relay.fail("hub_after", 1)?;
    let send = || run("octo-org/lost-answer", 1)?.send(&relay.url, WEBHOOK_SECRET);
    assert_eq!(send()?.status, 503);
    let again = send()?;
    let said = again.json()?;
    assert_eq!((again.status, &said["status"]), (200, &json!("duplicate")));
    assert_eq!(said["seq"], 1);
    Ok(())
}

#[test]
fn a_channel_is_not_begun_while_kv_cannot_say_what_was_there() -> Result<()> {
    let relay = relay()?;
    relay.fail("get", 1)?;
    let send = || run("octo-org/kv-down", 1)?.send(&relay.url, WEBHOOK_SECRET);
    assert_eq!(send()?.status, 503);
    let again = send()?;
    assert_eq!((again.status, &again.json()?["seq"]), (202, &json!(1)));
    Ok(())
}

#[test]
fn a_channel_is_not_begun_over_a_value_that_is_no_mailbox_and_the_log_names_its_key() -> Result<()>
{
    let relay = relay()?;
    relay.put_mailbox("octo-org/no-mailbox", &json!({ "head": 7 }))?;
    let send = || run("octo-org/no-mailbox", 1)?.send(&relay.url, WEBHOOK_SECRET);
    assert_eq!(send()?.status, 503);
    logged(
        &relay,
        "KV: the value of c/octo-org/no-mailbox is no mailbox: missing field `epoch`",
    )?;
    relay.put_mailbox("octo-org/no-mailbox", &json!({ "epoch": 7 }))?;
    assert_eq!(send()?.status, 202);
    Ok(())
}

#[test]
fn a_channel_is_not_begun_above_an_epoch_that_no_host_believes_in() -> Result<()> {
    let relay = relay()?;
    for (number, epoch) in [(1, 4_000_000_000_000_u64), (2, 1 << 60)] {
        let channel = format!("octo-org/far-future-{number}");
        relay.put_mailbox(&channel, &json!({ "epoch": epoch }))?;
        let send = || run(&channel, 1)?.send(&relay.url, WEBHOOK_SECRET);
        assert_eq!(send()?.status, 503);
        let why = format!("KV: the value of c/{channel} is a mailbox of epoch {epoch}, which is");
        logged(&relay, &why)?;
        relay.put_mailbox(&channel, &json!({ "epoch": 7 }))?;
        assert_eq!(send()?.status, 202);
    }
    Ok(())
}

#[test]
fn a_failed_put_is_repeated_until_the_intent_is_in_kv() -> Result<()> {
    let relay = relay()?;
    relay.fail("put", 2)?;
    assert_eq!(
        run("octo-org/failing", 1)?
            .send(&relay.url, WEBHOOK_SECRET)?
            .status,
        202
    );
    let mailbox = mailbox(&relay, "octo-org/failing", 1)?;
    assert_eq!(
        mailbox["intents"][0]["revision"]["sha"],
        format!("{:040x}", 1)
    );
    let counts = relay.counts()?;
    assert_eq!(counts["kv_writes"], 3, "{counts}");
    Ok(())
}

#[test]
fn a_hub_that_fails_is_503_and_the_redelivery_is_queued() -> Result<()> {
    let relay = relay()?;
    relay.fail("hub", 1)?;
    let failed = run("octo-org/hub-fails", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(
        (failed.status, &failed.json()?["error"]["code"]),
        (503, &json!("unavailable"))
    );
    let again = run("octo-org/hub-fails", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!((again.status, &again.json()?["seq"]), (202, &json!(1)));
    Ok(())
}

#[test]
fn a_hub_that_was_dropped_from_memory_goes_on_where_it_was() -> Result<()> {
    let relay = relay()?;
    let first = run("octo-org/evicted", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    let epoch = mailbox(&relay, "octo-org/evicted", 1)?["epoch"].clone();
    relay.evict_hub()?;
    let duplicate = run("octo-org/evicted", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(duplicate.json()?["intent"], first.json()?["intent"]);
    assert_eq!(
        run("octo-org/evicted", 2)?
            .send(&relay.url, WEBHOOK_SECRET)?
            .json()?["seq"],
        2
    );
    assert_eq!(mailbox(&relay, "octo-org/evicted", 2)?["epoch"], epoch);
    Ok(())
}
