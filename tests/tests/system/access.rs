//! Keys that are changed, and requests that fail by the hundred: the Worker as it is deployed.

use std::{panic::resume_unwind, sync::LazyLock, thread};

use anyhow::{Context, Result, anyhow};
use serde_json::json;
use towline_protocol::{Claims, Glob, Role, Secret, TokenKey};
use towline_tests::{
    github::Delivery,
    http::{Answer, get},
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

/// How many of so many wrong signatures are answered by each status: 401, 429.
fn wrong_signatures(relay: &Relay, times: usize) -> Result<(usize, usize)> {
    let wrong = Delivery::run(1, &"c".repeat(40))?;
    let statuses: Result<Vec<u16>> = thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> Result<Vec<u16>> {
                    let sent = (0..times / 4).map(|_| wrong.send(&relay.url, "not the secret"));
                    sent.map(|answer| Ok(answer?.status)).collect()
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
    assert_eq!(of(401) + of(429), times / 4 * 4, "{statuses:?}");
    Ok((of(401), of(429)))
}

#[test]
fn failures_are_limited_and_what_is_signed_or_has_a_good_token_never_is() -> Result<()> {
    let relay = after()?;
    // The minute that the limit counts in may end in the middle: then it begins to count anew.
    let (refused_at_once, limited) = wrong_signatures(relay, 2 * LIMIT + 100)?;
    assert!(
        refused_at_once >= LIMIT && limited > 0,
        "{limited} were limited"
    );
    let wrong = Delivery::run(1, &"c".repeat(40))?;
    let answer = wrong.send(&relay.url, "not the secret")?;
    if answer.status != 401 {
        refused(&answer, 429, "too_many_failures");
        assert_eq!(answer.headers["retry-after"], "60");
    }
    for number in 1..=20 {
        let signed = Delivery::run(number, &format!("{number:040x}"))?;
        assert_eq!(signed.send(&relay.url, WEBHOOK_SECRET)?.status, 202);
        assert_eq!(polled(relay, NEW)?.status, 200);
    }
    refused(&polled(relay, OLD)?, 401, "bad_token");
    assert_eq!(get(&format!("{}/health", relay.url), &[])?.status, 200);
    let logged = relay.output().matches(": 401: ").count();
    assert!(
        logged <= 2 * LIMIT,
        "a flood is not logged line by line: {logged}"
    );
    Ok(())
}
