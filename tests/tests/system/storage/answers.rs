//! What the relay answers out of its storage: more than the mailbox holds, beside a damaged one, and within its cap.

use anyhow::Result;
use serde_json::{Value, json};
use towline_protocol::{MAX_ANSWER, Role};
use towline_tests::relay::{Relay, WEBHOOK_SECRET, token};

use super::{mailbox, relay, run};

fn seqs(news: &Value) -> Vec<u64> {
    let intents = news["intents"].as_array().into_iter().flatten();
    intents
        .filter_map(|intent| intent["seq"].as_u64())
        .collect()
}

fn send(relay: &Relay, channel: &str, number: u64) -> Result<Value> {
    let sent = run(channel, number)?.send(&relay.url, WEBHOOK_SECRET)?;
    assert_eq!(sent.status, 202, "{}", sent.body);
    sent.json()
}

#[test]
fn the_hub_fills_a_gap_that_is_longer_than_the_mailbox() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "pi", &["octo-org/*"])?;
    for number in 1..=20 {
        send(&relay, "octo-org/gap", number)?;
    }
    let epoch = mailbox(&relay, "octo-org/gap", 20)?["epoch"].clone();
    let ask = |more: &str| -> Result<Value> {
        let path = format!("/v1/intents?channel=octo-org/gap@{epoch}.2{more}");
        Ok(relay.get(&path, &pi)?.json()?["channels"]["octo-org/gap"].clone())
    };
    assert_eq!(seqs(&ask("")?), (5..=20).collect::<Vec<_>>());
    assert_eq!(seqs(&ask("&fresh=1")?), (3..=20).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn an_unreadable_mailbox_is_answered_by_the_hub_beside_the_others() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "pi", &["octo-org/*"])?;
    for channel in ["octo-org/damaged", "octo-org/sound"] {
        send(&relay, channel, 1)?;
        mailbox(&relay, channel, 1)?;
    }
    relay.put_mailbox("octo-org/damaged", &json!("damaged"))?;
    relay.reset_counts()?;
    let path = "/v1/intents?channel=octo-org/damaged@0.0&channel=octo-org/sound@0.0";
    let answer = relay.get(path, &pi)?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let channels = &answer.json()?["channels"];
    for channel in ["octo-org/damaged", "octo-org/sound"] {
        assert_eq!(seqs(&channels[channel]), [1], "{channels}");
    }
    let counts = relay.counts()?;
    assert_eq!(counts["hub_requests"], 1, "{counts}");
    relay.fail("hub", 1)?;
    assert_eq!(relay.get(path, &pi)?.status, 503, "never a false answer");
    Ok(())
}

#[test]
fn an_intents_status_keeps_under_its_cap_and_every_last_attempt() -> Result<()> {
    let relay = relay()?;
    let intent = send(&relay, "octo-org/many-hosts", 1)?["intent"].clone();
    let report = |service: u32, attempt: u32| {
        json!({
            "intent": intent, "service": format!("s{service}"), "attempt": attempt, "outcome": "succeeded",
            "started_at": "2026-11-20T15:00:01Z", "log_tail": "x".repeat(8000), "message": "as told",
        })
    };
    for host in 0..20 {
        let token = token(Role::Host, &format!("h{host}"), &["octo-org/*"])?;
        for attempt in [1, 2] {
            let reports: Vec<_> = (0..7).map(|service| report(service, attempt)).collect();
            let answer = relay.post("/v1/reports", &token, &json!(reports))?;
            assert_eq!(answer.status, 202, "{}", answer.body);
        }
    }
    let operator = token(Role::Operator, "ops", &["*"])?;
    let path = format!("/v1/intents/{}", intent.as_str().unwrap_or_default());
    let answer = relay.get(&path, &operator)?;
    assert!(answer.body.len() <= MAX_ANSWER, "{}", answer.body.len());
    let hosts = answer.json()?["hosts"].clone();
    let services = |host: &Value| host["services"].as_object().cloned().unwrap_or_default();
    let last: Vec<_> = hosts
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, host)| services(host))
        .collect();
    assert_eq!(last.len(), 140);
    for (_, report) in last {
        assert_eq!(
            (&report["attempt"], &report["message"]),
            (&json!(2), &json!("as told"))
        );
    }
    Ok(())
}

#[test]
fn reports_that_were_left_out_are_named() -> Result<()> {
    let relay = relay()?;
    let [mine, other] =
        ["octo-org/mine", "elsewhere/other"].map(|channel| send(&relay, channel, 1));
    let (mine, other) = (mine?["intent"].clone(), other?["intent"].clone());
    let report = |intent: &Value| json!({ "intent": intent, "attempt": 1, "started_at": "2026-11-20T15:00:01Z" });
    let pi = token(Role::Host, "pi", &["octo-org/*"])?;
    let reports = json!([report(&other), report(&mine), report(&other)]);
    let answer = relay.post("/v1/reports", &pi, &reports)?;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.json()?,
        json!({ "accepted": 1, "left_out": [other] })
    );
    Ok(())
}
