//! Keys that are changed, and requests that fail by the hundred: the Worker as it is deployed.

use std::{panic::resume_unwind, sync::LazyLock, thread};

use anyhow::{Context, Result, anyhow};
use serde_json::json;
use towline_protocol::{Claims, Glob, Role, Secret, TokenKey};
use towline_tests::{
    github::Delivery,
    http::{Answer, get, post},
    relay::{Face, Relay, WEBHOOK_SECRET},
};

use crate::refused;

const OLD: &str = "the token key before, of at least thirty-two bytes";
const NEW: &str = "the token key after that, of thirty-two bytes too";

/// As in `wrangler.toml`.
const LIMIT: usize = 300;

const POLL: &str = "/v1/intents?channel=octo-org/web@0.0";

fn relay(key: &str, previous: &str) -> Result<Relay> {
    let secrets = json!({
        "WEBHOOK_SECRET": WEBHOOK_SECRET, "TOKEN_KEY": key, "TOKEN_KEY_PREVIOUS": previous,
    });
    Relay::with(Face::Deployed, &secrets, &json!({}))
}

/// The relay after the rotation, which all tests here share.
fn after() -> Result<&'static Relay> {
    static AFTER: LazyLock<Result<Relay>> = LazyLock::new(|| relay(NEW, ""));
    AFTER.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// What a host hears whose token was made with `key`.
fn polled(relay: &Relay, key: &str) -> Result<Answer> {
    let token = TokenKey::new(Secret::new(key))?.mint(&Claims {
        role: Role::Host,
        name: "pi".parse()?,
        channels: vec![Glob::new("*")],
        generation: 1,
        iat: 0,
    });
    relay.get(POLL, token.expose_str().context("tokens are ASCII")?)
}

#[test]
fn a_key_is_changed_without_locking_a_host_out_and_then_the_old_one_is_worth_nothing() -> Result<()>
{
    let both = relay(NEW, OLD)?;
    for key in [OLD, NEW] {
        assert_eq!(polled(&both, key)?.status, 200);
    }
    refused(&polled(&both, &"x".repeat(40))?, 401, "bad_token");
    refused(&polled(after()?, OLD)?, 401, "bad_token");
    assert_eq!(polled(after()?, NEW)?.status, 200);
    Ok(())
}

/// How many of more requests than may fail are answered by each status: 401, 429.
fn flood(send: impl Fn() -> Result<Answer> + Sync) -> Result<(usize, usize)> {
    let each = (2 * LIMIT + 100) / 4;
    let statuses: Result<Vec<u16>> = thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> Result<Vec<u16>> {
                    (0..each).map(|_| Ok(send()?.status)).collect()
                })
            })
            .collect();
        let sent: Result<Vec<_>> = senders
            .into_iter()
            .map(|sender| sender.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect();
        Ok(sent?.concat())
    });
    let statuses = statuses?;
    let of = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!(of(401) + of(429), 4 * each, "{statuses:?}");
    Ok((of(401), of(429)))
}

/// The minute that the limit counts in may end in the middle: then it begins to count anew.
fn is_limited((refused_at_once, limited): (usize, usize)) {
    assert!(
        refused_at_once >= LIMIT && limited > 0,
        "{limited} were limited after {refused_at_once}"
    );
}

#[test]
fn failures_are_limited_and_what_is_signed_or_has_a_good_token_never_is() -> Result<()> {
    let relay = after()?;
    let wrong = Delivery::run(1, &"c".repeat(40))?;
    is_limited(flood(|| wrong.send(&relay.url, "not the secret"))?);
    let answer = wrong.send(&relay.url, "not the secret")?;
    if answer.status != 401 {
        refused(&answer, 429, "too_many_failures");
        assert_eq!(answer.headers["retry-after"], "60");
    }
    for number in 1..=20 {
        let signed = Delivery::run(number, &format!("{number:040x}"))?;
        assert_eq!(signed.send(&relay.url, WEBHOOK_SECRET)?.status, 202);
    }
    assert_eq!(get(&format!("{}/health", relay.url), &[])?.status, 200);
    few_lines(relay, ": 401: ");
    Ok(())
}

#[test]
fn bad_tokens_of_both_kinds_are_limited_and_a_good_one_from_the_same_address_never_is() -> Result<()>
{
    // A relay of its own, because its count is used up.
    let relay = relay(NEW, "")?;
    let order = json!({ "channel": "octo-org/web" });
    is_limited(flood(|| relay.post("/v1/intents", "a.b.c", &order))?);
    is_limited_at_once(&|| polled(&relay, OLD))?;
    for _ in 0..20 {
        assert_eq!(polled(&relay, NEW)?.status, 200);
    }
    few_lines(&relay, "a token of GitHub Actions was not taken");
    Ok(())
}

/// Of what shares its count with a flood a moment ago, some is limited before as many have failed.
fn is_limited_at_once(send: &dyn Fn() -> Result<Answer>) -> Result<()> {
    for _ in 0..=LIMIT {
        if send()?.status == 429 {
            return Ok(());
        }
    }
    Err(anyhow!("nothing was limited"))
}

/// Two minutes' worth at most, and some at all.
fn few_lines(relay: &Relay, words: &str) {
    let logged = relay.output().matches(words).count();
    assert!(
        (1..=2 * LIMIT).contains(&logged),
        "a flood is not logged line by line: {logged}"
    );
}

#[test]
fn what_is_wrong_before_the_signature_is_limited_too() -> Result<()> {
    let relay = relay(NEW, "")?;
    let hook = format!("{}/webhook/github", relay.url);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let statuses: Result<Vec<u16>> = (0..2 * LIMIT + 2)
        .map(|_| Ok(post(&hook, &form, b"payload=")?.status))
        .collect();
    let statuses = statuses?;
    let of = |status| statuses.iter().filter(|one| **one == status).count();
    assert!(of(415) >= LIMIT && of(429) > 0, "{statuses:?}");
    assert_eq!(of(415) + of(429), statuses.len());
    few_lines(&relay, ": 415: ");
    let signed = Delivery::run(1, &"d".repeat(40))?;
    assert_eq!(signed.send(&relay.url, WEBHOOK_SECRET)?.status, 202);
    Ok(())
}
