//! Requests that the relay refuses: who is told what, and that none of them costs anything.

use anyhow::{Context, Result};
use serde_json::json;
use towline_protocol::{Claims, Glob, IntentId, Role, Secret, Ticket, TokenKey};
use towline_tests::{
    http::{Answer, get, post},
    relay::{Relay, WEBHOOK_SECRET, token, token_key, token_of},
};

use super::{assert_counts, relay, run};
use crate::refused;

const AN_INTENT: &str = "/v1/intents/in_aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Every route that wants a token, and the role that may use it; `None` is either.
const ROUTES: [(&str, &str, Option<Role>); 8] = [
    (
        "GET",
        "/v1/intents?channel=octo-org/web@0.0",
        Some(Role::Host),
    ),
    (
        "GET",
        "/v1/intents?channel=octo-org/web@0.0&fresh=1",
        Some(Role::Host),
    ),
    ("GET", AN_INTENT, None),
    ("POST", "/v1/intents", Some(Role::Operator)),
    ("POST", "/v1/reports", Some(Role::Host)),
    ("POST", "/v1/hello", Some(Role::Host)),
    ("GET", "/v1/doorbell", Some(Role::Host)),
    ("GET", "/v1/fleet", Some(Role::Operator)),
];

/// A request with a body of which the relay would have something to say, if it came so far.
fn ask(relay: &Relay, method: &str, path: &str, authorization: Option<&str>) -> Result<Answer> {
    let url = format!("{}{path}", relay.url);
    let authorization = authorization.map(|value| ("Authorization", value));
    let headers: Vec<_> = [("Content-Type", "text/plain")]
        .into_iter()
        .chain(authorization)
        .collect();
    match method {
        "GET" => get(&url, &headers),
        _ => post(&url, &headers, b"not JSON"),
    }
}

fn claims(role: Role, name: &str, generation: u32) -> Result<Claims> {
    Ok(Claims {
        role,
        name: name.parse()?,
        channels: vec![Glob::new("octo-org/*")],
        generation,
        iat: 0,
    })
}

fn text(secret: &Secret) -> Result<String> {
    Ok(secret.expose_str().context("tokens are ASCII")?.to_owned())
}

/// Tokens that are good for nothing anywhere, by what is wrong with each.
fn bad_tokens() -> Result<Vec<(&'static str, String)>> {
    let good = token_of(&claims(Role::Host, "pi", 1)?)?;
    let of_operator = token_of(&claims(Role::Operator, "pi", 1)?)?;
    let (_, mac) = good.rsplit_once('.').context("no MAC")?;
    let (promoted, _) = of_operator.rsplit_once('.').context("no MAC")?;
    let stranger = TokenKey::new(Secret::new("x".repeat(32)))?;
    let expired = Ticket {
        intent: IntentId::of_key("any"),
        expires: 1_795_186_000,
    };
    let expired = TokenKey::new(Secret::new(token_key()))?.mint_ticket(&expired);
    // REVOKED is "lost nas<2".
    Ok(vec![
        (
            "of another key",
            text(&stranger.mint(&claims(Role::Host, "pi", 1)?))?,
        ),
        ("with another's MAC", format!("{promoted}.{mac}")),
        ("cut off", good[..good.len() - 1].to_owned()),
        (
            "of a revoked name",
            token_of(&claims(Role::Host, "lost", 9)?)?,
        ),
        (
            "of a revoked operator",
            token_of(&claims(Role::Operator, "lost", 9)?)?,
        ),
        (
            "of a revoked generation",
            token_of(&claims(Role::Host, "nas", 1)?)?,
        ),
        ("a ticket whose hour is over", text(&expired)?),
        ("empty", String::new()),
        ("no token at all", "tl1.e30.AAAA".to_owned()),
        (
            "an algorithm of none",
            "eyJhbGciOiJub25lIn0.e30.".to_owned(),
        ),
    ])
}

#[test]
fn no_bad_token_is_good_on_any_route_and_none_learns_why_or_costs_anything() -> Result<()> {
    let relay = relay()?;
    for (method, path, _) in ROUTES {
        let nobody = ask(&relay, method, path, None)?;
        refused(&nobody, 401, "bad_token");
        assert_eq!(nobody.headers["www-authenticate"], "Bearer");
        for (what, bad) in bad_tokens()? {
            let answer = ask(&relay, method, path, Some(&format!("Bearer {bad}")))?;
            let told = (answer.status, answer.body.as_str());
            assert_eq!(
                told,
                (401, nobody.body.as_str()),
                "{method} {path} with one {what}"
            );
        }
        let basic = ask(&relay, method, path, Some("Basic cGk6cGk="))?;
        assert_eq!(basic.body, nobody.body);
    }
    assert_counts(&relay.counts()?, &[]);
    Ok(())
}

#[test]
fn a_good_token_of_the_wrong_role_is_told_so_on_every_route_and_costs_nothing() -> Result<()> {
    let relay = relay()?;
    for (method, path, role) in ROUTES {
        let wrong = match role {
            Some(Role::Host) => Role::Operator,
            Some(Role::Operator) => Role::Host,
            None => continue,
        };
        let token = format!("Bearer {}", token(wrong, "pi", &["*"])?);
        refused(&ask(&relay, method, path, Some(&token))?, 403, "forbidden");
    }
    assert_counts(&relay.counts()?, &[]);
    Ok(())
}

#[test]
fn a_renewed_generation_is_good_where_the_one_before_is_revoked() -> Result<()> {
    let relay = relay()?;
    let renewed = token_of(&claims(Role::Host, "nas", 2)?)?;
    let path = "/v1/intents?channel=octo-org/web@0.0";
    assert_eq!(relay.get(path, &renewed)?.status, 200);
    Ok(())
}

#[test]
fn a_request_that_makes_no_sense_costs_nothing_on_any_route() -> Result<()> {
    let relay = relay()?;
    let host = token(Role::Host, "pi", &["octo-org/*"])?;
    let operator = token(Role::Operator, "ops", &["octo-org/*"])?;
    let large = json!("x".repeat(65 * 1024));
    let elsewhere = json!({ "channel": "elsewhere/web" });
    let answers = [
        (
            403,
            relay.get("/v1/intents?channel=elsewhere/web@0.0", &host)?,
        ),
        (
            403,
            relay.get("/v1/intents?channel=elsewhere/web@0.0&fresh=1", &host)?,
        ),
        (403, relay.post("/v1/intents", &operator, &elsewhere)?),
        (400, relay.get("/v1/intents", &host)?),
        (400, relay.get("/v1/intents?channel=octo-org/web@1", &host)?),
        (400, relay.get("/v1/intents/in_short", &host)?),
        (400, relay.post("/v1/intents", &operator, &json!({}))?),
        (400, relay.post("/v1/reports", &host, &json!({}))?),
        (400, relay.post("/v1/hello", &host, &json!([]))?),
        (413, relay.post("/v1/intents", &operator, &large)?),
        (413, relay.post("/v1/reports", &host, &large)?),
        (413, relay.post("/v1/hello", &host, &large)?),
        (426, relay.get("/v1/doorbell", &host)?),
        (404, relay.get("/v1/nothing", &host)?),
        (405, relay.post("/health", &host, &json!({}))?),
    ];
    for (at, (status, answer)) in answers.iter().enumerate() {
        assert_eq!(answer.status, *status, "number {at}: {}", answer.body);
    }
    for (method, path, _) in ROUTES.iter().filter(|(method, ..)| *method == "POST") {
        let token = format!(
            "Bearer {}",
            if *path == "/v1/intents" {
                &operator
            } else {
                &host
            }
        );
        refused(
            &ask(&relay, method, path, Some(&token))?,
            415,
            "unsupported_media_type",
        );
    }
    let mut delivery = run("octo-org/none", 1)?;
    delivery.event = "release".to_owned();
    assert_eq!(delivery.send(&relay.url, WEBHOOK_SECRET)?.status, 400);
    delivery.guid = String::new();
    assert_eq!(delivery.send(&relay.url, WEBHOOK_SECRET)?.status, 400);
    assert_counts(&relay.counts()?, &[]);
    Ok(())
}
