//! What the relay does to its storage: how often, how surely, and what it survives.

use std::{
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    github::Delivery,
    http::{get, post},
    relay::{Face, Relay, WEBHOOK_SECRET, token},
    wait::until,
};

mod adversity;
mod answers;
mod doorbell;
mod failing;
mod refused;
mod slow;
mod upkeep;

/// The relay of this module's tests. One test at a time, because they count.
fn relay() -> Result<MutexGuard<'static, Relay>> {
    static RELAY: LazyLock<Result<Mutex<Relay>>> =
        LazyLock::new(|| Ok(Mutex::new(Relay::start(Face::Counted, &json!({}))?)));
    let relay = RELAY.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    let relay = relay.lock().unwrap_or_else(PoisonError::into_inner);
    relay.reset_counts()?;
    Ok(relay)
}

fn run(repository: &str, number: u64) -> Result<Delivery> {
    let id = repository.bytes().map(u64::from).sum();
    Ok(Delivery::run(number, &format!("{number:040x}"))?.of(repository, id))
}

/// Waits until the mailbox's head is `head`.
fn mailbox(relay: &Relay, channel: &str, head: u64) -> Result<Value> {
    until("the mailbox in KV", Duration::from_secs(20), || {
        Ok(relay
            .mailbox(channel)
            .ok()
            .filter(|mailbox| mailbox["head"] == head))
    })
}

/// Lets what a delivery began come to its end, its alarm included, then returns the counts.
fn settled(relay: &Relay) -> Result<Value> {
    until("the alarm", Duration::from_secs(10), || {
        Ok((relay.counts()?["alarms"] != 0).then_some(()))
    })?;
    quiet(relay)
}

/// Waits for longer than an alarm or a put may be away, then returns the counts.
fn quiet(relay: &Relay) -> Result<Value> {
    thread::sleep(Duration::from_millis(2500));
    relay.counts()
}

fn assert_counts(counts: &Value, wanted: &[(&str, u64)]) {
    for name in [
        "kv_reads",
        "kv_keys_read",
        "kv_writes",
        "hub_requests",
        "kv_lists",
        "kv_deletes",
    ] {
        let wanted = wanted
            .iter()
            .find(|(other, _)| *other == name)
            .map_or(0, |(_, count)| *count);
        assert_eq!(counts[name], wanted, "{name} in {counts}");
    }
}

#[test]
fn an_accepted_delivery_costs_one_kv_write_and_one_hub_request() -> Result<()> {
    let relay = relay()?;
    run("octo-org/warm", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    mailbox(&relay, "octo-org/warm", 1)?;
    settled(&relay)?;
    relay.reset_counts()?;
    assert_eq!(
        run("octo-org/warm", 2)?
            .send(&relay.url, WEBHOOK_SECRET)?
            .status,
        202
    );
    mailbox(&relay, "octo-org/warm", 2)?;
    let counts = settled(&relay)?;
    assert_counts(&counts, &[("kv_writes", 1), ("hub_requests", 1)]);
    assert_eq!(counts["alarms"], 1, "{counts}");
    Ok(())
}

#[test]
fn a_channels_first_delivery_also_reads_what_an_earlier_hub_may_have_left() -> Result<()> {
    let relay = relay()?;
    run("octo-org/first", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    mailbox(&relay, "octo-org/first", 1)?;
    let wanted = [
        ("kv_reads", 1),
        ("kv_keys_read", 1),
        ("kv_writes", 1),
        ("hub_requests", 1),
    ];
    assert_counts(&settled(&relay)?, &wanted);
    Ok(())
}

#[test]
fn a_duplicate_costs_one_hub_request_and_no_kv() -> Result<()> {
    let relay = relay()?;
    run("octo-org/again", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    mailbox(&relay, "octo-org/again", 1)?;
    settled(&relay)?;
    relay.reset_counts()?;
    assert_eq!(
        run("octo-org/again", 1)?
            .send(&relay.url, WEBHOOK_SECRET)?
            .status,
        200
    );
    let counts = quiet(&relay)?;
    assert_counts(&counts, &[("hub_requests", 1)]);
    assert_eq!(counts["alarms"], 0, "{counts}");
    Ok(())
}

#[test]
fn a_rejected_or_ignored_delivery_costs_nothing() -> Result<()> {
    let relay = relay()?;
    assert_eq!(
        run("octo-org/none", 1)?
            .send(&relay.url, "not the secret")?
            .status,
        401
    );
    let mut ignored = run("octo-org/none", 1)?;
    ignored.body["workflow_run"]["conclusion"] = json!("failure");
    assert_eq!(ignored.send(&relay.url, WEBHOOK_SECRET)?.status, 200);
    let mut broken = run("octo-org/none", 1)?;
    broken.body = json!("broken");
    assert_eq!(broken.send(&relay.url, WEBHOOK_SECRET)?.status, 400);
    assert_eq!(
        post(&format!("{}/webhook/github", relay.url), &[], b"{}")?.status,
        415
    );
    assert_eq!(get(&format!("{}/health", relay.url), &[])?.status, 200);
    assert_counts(&quiet(&relay)?, &[]);
    Ok(())
}

#[test]
fn a_poll_costs_one_kv_read_a_channel_and_without_a_good_token_none() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "pi", &["octo-org/*"])?;
    let poll = |channels: &str| relay.get(&format!("/v1/intents?{channels}"), &pi);
    assert_eq!(poll("channel=octo-org/one@0.0")?.status, 200);
    assert_counts(&relay.counts()?, &[("kv_reads", 1), ("kv_keys_read", 1)]);
    assert_eq!(
        poll("channel=octo-org/one@0.0&channel=octo-org/two@0.0")?.status,
        200
    );
    assert_counts(&relay.counts()?, &[("kv_reads", 2), ("kv_keys_read", 3)]);
    relay.reset_counts()?;
    assert_eq!(
        relay
            .get("/v1/intents?channel=octo-org/one@0.0", "tl1.e30.AAAA")?
            .status,
        401
    );
    assert_eq!(poll("channel=elsewhere/one@0.0")?.status, 403);
    assert_eq!(poll("channel=Octo/one@0.0")?.status, 400);
    assert_counts(&relay.counts()?, &[]);
    assert_eq!(poll("channel=octo-org/one@0.0&fresh=1")?.status, 200);
    assert_counts(&relay.counts()?, &[("hub_requests", 1)]);
    Ok(())
}

#[test]
fn a_kv_that_cannot_be_read_fails_the_poll_and_not_with_a_false_answer() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "pi", &["octo-org/*"])?;
    relay.fail("get", 1)?;
    assert_eq!(
        relay
            .get("/v1/intents?channel=octo-org/one@0.0", &pi)?
            .status,
        503
    );
    Ok(())
}

#[test]
fn forty_runs_at_once_are_forty_numbers_and_few_puts_a_second_apart() -> Result<()> {
    let relay = relay()?;
    let url = relay.url.as_str();
    let mut seqs: Vec<u64> = thread::scope(|scope| {
        let sends: Vec<_> = (1..=40)
            .map(|number| {
                scope.spawn(move || run("octo-org/burst", number)?.send(url, WEBHOOK_SECRET))
            })
            .collect();
        let answers = sends.into_iter().map(|send| send.join().expect("no panic"));
        answers
            .map(|answer| Ok(answer?.json()?["seq"].as_u64().unwrap_or(0)))
            .collect::<Result<_>>()
    })?;
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
    let mailbox = mailbox(&relay, "octo-org/burst", 40)?;
    let kept: Vec<_> = mailbox["intents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["seq"].as_u64())
        .collect();
    assert_eq!(kept, (25..=40).map(Some).collect::<Vec<_>>());
    let counts = settled(&relay)?;
    let puts = counts["puts"].as_array().unwrap();
    let times: Vec<u64> = puts
        .iter()
        .filter(|put| put["key"] == "c/octo-org/burst")
        .filter_map(|put| put["at_ms"].as_u64())
        .collect();
    assert!(times.len() < 10, "{times:?}");
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= 1000),
        "{times:?}"
    );
    Ok(())
}

#[test]
fn a_new_hub_takes_an_epoch_above_what_an_earlier_one_left_in_kv() -> Result<()> {
    let relay = relay()?;
    // Ahead of the clock, no further than hosts believe.
    let left = u64::try_from(jiff::Timestamp::now().as_millisecond())? + 3_600_000;
    let mailbox_left = json!({
        "epoch": left, "head": 7, "pruned_before": 0, "intents": [], "written_at": "2026-11-20T15:00:00Z",
    });
    relay.put_mailbox("octo-org/inherited", &mailbox_left)?;
    assert_eq!(
        run("octo-org/inherited", 1)?
            .send(&relay.url, WEBHOOK_SECRET)?
            .status,
        202
    );
    let mailbox = until("the new mailbox", Duration::from_secs(20), || {
        Ok(relay
            .mailbox("octo-org/inherited")
            .ok()
            .filter(|mailbox| mailbox["head"] == 1))
    })?;
    assert!(mailbox["epoch"].as_u64() > Some(left), "{mailbox}");
    Ok(())
}
