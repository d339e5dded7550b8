//! What hosts tell the relay of themselves and of intents, and what it says of that.

use anyhow::Result;
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    doorbell::{Doorbell, hello},
    relay::token,
};

use super::{host, queue};
use crate::{refused, relay};

fn report(intent: &Value, service: Option<&str>, outcome: Option<&str>) -> Value {
    let mut report = json!({
        "type": "report", "intent": intent, "service": service, "attempt": 1,
        "started_at": "2026-11-20T15:00:01Z",
    });
    if let Some(outcome) = outcome {
        report["outcome"] = json!(outcome);
    }
    report
}

/// What an operator is told of the hosts of an intent.
fn hosts(intent: &Value) -> Result<Value> {
    let operator = token(Role::Operator, "ops", &["*"])?;
    let id = intent.as_str().unwrap_or_default();
    let answer = relay()?.get(&format!("/v1/intents/{id}"), &operator)?;
    Ok(answer.json()?["hosts"].clone())
}

#[test]
fn a_report_over_the_doorbell_is_kept_and_acknowledged_by_its_name() -> Result<()> {
    let intent = queue("octo-org/told", 1)?["intent"].clone();
    let mut bell = Doorbell::connect(relay()?, &host("teller")?)?;
    let mut ack = report(&intent, None, None);
    ack["matched"] = json!(["web"]);
    ack["id"] = json!("17");
    for (frame, named) in [
        (ack, json!("17")),
        (
            report(&intent, Some("web"), Some("applying")),
            intent.clone(),
        ),
        (
            report(&intent, Some("web"), Some("succeeded")),
            intent.clone(),
        ),
        (
            report(&intent, Some("web"), Some("applying")),
            intent.clone(),
        ),
    ] {
        bell.say(&frame)?;
        assert_eq!(bell.frame()?, json!({ "type": "ack", "ids": [named] }));
    }
    let told = &hosts(&intent)?["teller"];
    assert_eq!(told["matched"], json!(["web"]), "{told}");
    assert_eq!(told["services"]["web"]["outcome"], "succeeded", "{told}");
    Ok(())
}

#[test]
fn a_report_that_another_way_has_overtaken_takes_no_later_ones_place() -> Result<()> {
    let intent = queue("octo-org/told-twice", 1)?["intent"].clone();
    let runner = host("runner")?;
    let mut bell = Doorbell::connect(relay()?, &runner)?;
    let made = |outcome: &str, order: [u64; 2]| {
        let mut report = report(&intent, Some("web"), Some(outcome));
        report["order"] = json!(order);
        report
    };
    let told = || Ok(hosts(&intent)?["runner"]["services"]["web"]["outcome"].clone());
    let mut by_bell = |report: Value| -> Result<Value> {
        bell.say(&report)?;
        bell.frame()?;
        told()
    };
    let by_post = |report: Value| -> Result<Value> {
        let answer = relay()?.post("/v1/reports", &runner, &json!([report]))?;
        assert_eq!(answer.status, 202, "{answer:?}");
        told()
    };
    let (applying, waiting) = (made("applying", [6, 1]), made("waiting", [7, 0]));
    assert_eq!(by_bell(waiting.clone())?, "waiting");
    assert_eq!(by_post(applying.clone())?, "waiting");
    assert_eq!(by_post(made("applying", [7, 1]))?, "applying");
    assert_eq!(by_bell(waiting)?, "applying");
    assert_eq!(by_post(made("rolled_back", [8, 0]))?, "rolled_back");
    assert_eq!(by_bell(made("applying", [8, 1]))?, "rolled_back");
    assert_eq!(by_bell(applying)?, "rolled_back");
    Ok(())
}

#[test]
fn a_report_that_the_token_does_not_allow_is_acknowledged_and_not_kept() -> Result<()> {
    let intent = queue("elsewhere/told", 1)?["intent"].clone();
    let mut bell = Doorbell::connect(relay()?, &host("meddler")?)?;
    bell.say(&report(&intent, Some("web"), Some("succeeded")))?;
    assert_eq!(bell.frame()?["ids"], json!([intent]));
    assert_eq!(hosts(&intent)?, json!({}));
    Ok(())
}

#[test]
fn who_follows_an_intent_is_told_of_hosts_that_listen_and_have_said_nothing() -> Result<()> {
    let mut bell = Doorbell::greet(
        relay()?,
        &host("mute")?,
        &json!({ "octo-org/expected": "0.0" }),
    )?;
    bell.is_quiet()?;
    let body = hello(&json!({ "octo-org/expected": "0.0" }));
    assert_eq!(
        relay()?.post("/v1/hello", &host("slow")?, &body)?.status,
        202
    );
    let other = hello(&json!({ "octo-org/unexpected": "0.0" }));
    relay()?.post("/v1/hello", &host("other")?, &other)?;
    let intent = queue("octo-org/expected", 1)?["intent"].clone();
    let silent = hosts(&intent)?;
    let names: Vec<_> = silent
        .as_object()
        .into_iter()
        .flat_map(|hosts| hosts.keys())
        .collect();
    assert_eq!(names, ["mute", "slow"], "{silent}");
    assert_eq!(silent["mute"]["matched"], Value::Null);
    assert_eq!(silent["mute"]["services"], json!({}));
    bell.ring()?;
    bell.say(&report(&intent, None, None))?;
    bell.frame()?;
    assert_eq!(hosts(&intent)?["mute"]["matched"], json!([]));
    Ok(())
}

#[test]
fn a_hello_by_post_is_a_hosts_alone_and_is_read_strictly() -> Result<()> {
    let operator = token(Role::Operator, "ops", &["*"])?;
    let body = hello(&json!({ "octo-org/heard": "0.0" }));
    refused(
        &relay()?.post("/v1/hello", &operator, &body)?,
        403,
        "forbidden",
    );
    refused(
        &relay()?.post("/v1/hello", "tl1.e30.AAAA", &body)?,
        401,
        "bad_token",
    );
    refused(
        &relay()?.post("/v1/hello", &host("pi")?, &json!([]))?,
        400,
        "bad_request",
    );
    let answer = relay()?.post("/v1/hello", &host("heard")?, &body)?;
    assert_eq!((answer.status, answer.body.as_str()), (202, "{}"));
    Ok(())
}
