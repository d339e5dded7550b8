//! Intents that an operator asks for.

use anyhow::Result;
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    http::{Answer, post},
    relay::token,
};

use crate::{refused, relay};

fn ops() -> Result<String> {
    token(Role::Operator, "ops", &["octo-org/*", "kiosk"])
}

fn order(token: &str, key: Option<&str>, body: &Value) -> Result<Answer> {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    let url = format!("{}/v1/intents", relay()?.url);
    post(&url, &headers, body.to_string().as_bytes())
}

/// How many intents the hub has numbered on a channel.
fn head(channel: &str) -> Result<Value> {
    let pi = token(Role::Host, "pi", &["*"])?;
    let path = format!("/v1/intents?channel={channel}@0.0&fresh=1");
    Ok(relay()?.get(&path, &pi)?.json()?["channels"][channel]["head"].clone())
}

#[test]
fn an_order_becomes_an_intent_that_hosts_get_and_operators_can_follow() -> Result<()> {
    let digest = format!("sha256:{}", "0".repeat(64));
    let body = json!({
        "channel": "octo-org/ordered", "service": "web", "hosts": ["pi"], "sha": "a".repeat(40),
        "image": { "reference": "ghcr.io/octo-org/web:v2", "digest": digest },
        "reason": "the fix", "expires_in": "10m",
    });
    let answer = order(&ops()?, None, &body)?;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let intent = answer.json()?;
    assert_eq!(
        intent["source"],
        json!({ "kind": "manual", "by": "ops", "reason": "the fix" })
    );
    for member in ["channel", "service", "hosts", "image"] {
        assert_eq!(intent[member], body[member], "{member}");
    }
    assert_eq!(intent["revision"]["sha"], body["sha"]);
    assert!(
        intent["expires_at"].is_string() && intent.get("ticket").is_none(),
        "{intent}"
    );
    let id = intent["id"].as_str().unwrap_or_default();
    let status = relay()?.get(&format!("/v1/intents/{id}"), &ops()?)?;
    assert_eq!(status.json()?["intent"], intent);
    assert_eq!(head("octo-org/ordered")?, 1);
    Ok(())
}

#[test]
fn a_repeated_order_is_the_same_intent_and_another_one_with_its_key_is_refused() -> Result<()> {
    let body = json!({ "channel": "octo-org/again", "reason": "once" });
    let first = order(&ops()?, Some("order-1"), &body)?;
    let again = order(&ops()?, Some("order-1"), &body)?;
    assert_eq!((first.status, again.status), (201, 200), "{}", again.body);
    assert_eq!(first.body, again.body);
    let other = json!({ "channel": "octo-org/again", "reason": "twice" });
    refused(&order(&ops()?, Some("order-1"), &other)?, 409, "conflict");
    assert_eq!(head("octo-org/again")?, 1);
    let night = token(Role::Operator, "night", &["*"])?;
    assert_eq!(order(&night, Some("order-1"), &body)?.status, 201);
    for _ in 0..2 {
        assert_eq!(order(&ops()?, None, &body)?.status, 201);
    }
    assert_eq!(head("octo-org/again")?, 4);
    Ok(())
}

#[test]
fn who_may_not_order_is_told_so_and_nothing_is_numbered() -> Result<()> {
    let body = json!({ "channel": "not-theirs" });
    let host = token(Role::Host, "pi", &["*"])?;
    refused(&order(&host, None, &body)?, 403, "forbidden");
    refused(&order(&ops()?, None, &body)?, 403, "forbidden");
    refused(&order("tl1.e30.AAAA", None, &body)?, 401, "bad_token");
    let url = format!("{}/v1/intents", relay()?.url);
    refused(&post(&url, &[], b"")?, 401, "bad_token");
    let wrong = json!({ "channel": "kiosk", "sha": "main" });
    refused(&order(&ops()?, None, &wrong)?, 400, "bad_request");
    refused(
        &order(&ops()?, Some("two words"), &json!({ "channel": "kiosk" }))?,
        400,
        "bad_request",
    );
    let large = json!({ "channel": "kiosk", "more": "x".repeat(64 * 1024) });
    refused(&order(&ops()?, None, &large)?, 413, "too_large");
    assert_eq!((head("not-theirs")?, head("kiosk")?), (json!(0), json!(0)));
    Ok(())
}
