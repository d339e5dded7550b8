//! Intents that a job of GitHub Actions asks for, by a token of its issuer's and with no secret of ours.

use std::{sync::LazyLock, thread, time::Duration};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    http::{Answer, get},
    issuer::{Issuer, Key, REQUEST_TOKEN},
    relay::{Face, Relay, token, token_key},
    wait::until,
};

use crate::refused;

/// The relay's address as its jobs know it, which is not where the tests find it: the audience is what is
/// configured, never the Host header.
pub(crate) const PUBLIC_URL: &str = "http://127.0.0.1:9";

pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) relay: Relay,
}

static WORLD: LazyLock<Result<World>> = LazyLock::new(World::start);

pub(crate) fn world() -> Result<&'static World> {
    WORLD.as_ref().map_err(|error| anyhow!("{error:#}"))
}

impl World {
    fn start() -> Result<Self> {
        let issuer = Issuer::start()?;
        let secrets = json!({ "TOKEN_KEY": token_key() });
        let vars = json!({
            "PUBLIC_URL": PUBLIC_URL,
            "oidc": {
                "repository_ids": ["1296269"], "workflows": ["redeploy.yml"], "refs": ["refs/heads/main"],
                "channels": ["kiosk"], "issuer": issuer.url,
            },
        });
        let relay = Relay::with(Face::Counted, &secrets, &vars)?;
        Ok(Self { issuer, relay })
    }

    /// A token of a job that the relay lets in, changed.
    fn token(&self, change: impl FnOnce(&mut Value)) -> Result<String> {
        let mut claims = self.issuer.claims(PUBLIC_URL);
        change(&mut claims);
        self.issuer.key()?.sign(&claims)
    }

    fn order(&self, token: &str, body: &Value) -> Result<Answer> {
        self.relay.post("/v1/intents", token, body)
    }

    fn logged(&self, words: &str) -> Result<()> {
        let logged = until(
            &format!("{words:?} in the log"),
            Duration::from_secs(10),
            || Ok(self.relay.output().contains(words).then_some(())),
        );
        logged.with_context(|| self.relay.output())
    }
}

fn web() -> Value {
    json!({ "channel": "octo-org/web", "reason": "by hand" })
}

#[test]
fn a_job_orders_with_the_token_that_github_gives_it_and_follows_with_its_ticket() -> Result<()> {
    let World { issuer, relay } = world()?;
    let asked = format!("{}&audience={PUBLIC_URL}", issuer.request_url());
    let bearer = format!("bearer {REQUEST_TOKEN}");
    let given = get(&asked, &[("Authorization", &bearer)])?.json()?;
    let token = given["value"].as_str().unwrap_or_default();
    let answer = world()?.order(token, &web())?;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let mut intent = answer.json()?;
    let ticket = intent["ticket"].as_str().context("no ticket")?.to_owned();
    intent
        .as_object_mut()
        .map(|members| members.remove("ticket"));
    assert_eq!(intent["source"]["kind"], "actions");
    assert_eq!(
        intent["source"]["workflow"],
        ".github/workflows/redeploy.yml"
    );
    assert_eq!(intent["source"]["run_id"], 30_433_642);
    let path = format!("/v1/intents/{}", intent["id"].as_str().unwrap_or_default());
    let followed = relay.get(&path, &ticket)?;
    assert_eq!(followed.status, 200, "{}", followed.body);
    assert_eq!(followed.json()?["intent"], intent);
    Ok(())
}

#[test]
fn a_ticket_is_good_for_nothing_else() -> Result<()> {
    let world = world()?;
    let ordered =
        |body: &Value| -> Result<Value> { world.order(&world.token(|_| ())?, body)?.json() };
    let (mine, other) = (ordered(&web())?, ordered(&web())?);
    let ticket = mine["ticket"].as_str().context("no ticket")?;
    let get = |path: &str| world.relay.get(path, ticket);
    let other = format!("/v1/intents/{}", other["id"].as_str().unwrap_or_default());
    let hidden = get(&other)?;
    refused(&hidden, 404, "not_found");
    assert_eq!(
        hidden.body,
        get("/v1/intents/in_aaaaaaaaaaaaaaaaaaaaaaaaaa")?.body
    );
    refused(
        &get("/v1/intents?channel=octo-org/web@0.0")?,
        401,
        "bad_token",
    );
    refused(&world.order(ticket, &web())?, 401, "bad_token");
    refused(
        &world.relay.post("/v1/reports", ticket, &json!([]))?,
        401,
        "bad_token",
    );
    let longer = ticket.replacen('.', ".x", 1);
    refused(&world.relay.get(&other, &longer)?, 401, "bad_token");
    Ok(())
}

#[test]
fn a_token_is_spent_by_one_order_and_a_repetition_is_the_same_intent() -> Result<()> {
    let world = world()?;
    let token = world.token(|_| ())?;
    let first = world.order(&token, &json!({ "channel": "kiosk" }))?;
    let again = world.order(&token, &json!({ "channel": "kiosk" }))?;
    assert_eq!((first.status, again.status), (201, 200), "{}", again.body);
    assert_eq!(first.json()?["id"], again.json()?["id"]);
    assert!(again.json()?["ticket"].is_string());
    for other in [web(), json!({ "channel": "kiosk", "sha": "a".repeat(40) })] {
        refused(&world.order(&token, &other)?, 409, "conflict");
    }
    Ok(())
}

#[test]
fn the_wrong_job_is_forbidden_and_only_the_log_says_why() -> Result<()> {
    let world = world()?;
    for (claim, value) in [
        (
            "workflow_ref",
            "octo-org/web/.github/workflows/ci.yml@refs/heads/main",
        ),
        (
            "workflow_ref",
            "octo-org/web/.github/workflows/redeploy.yml@evil.yml@refs/heads/main",
        ),
        ("ref", "refs/heads/feature"),
        ("event_name", "pull_request_target"),
    ] {
        let token = world.token(|claims| claims[claim] = json!(value))?;
        let answer = world.order(&token, &web())?;
        refused(&answer, 403, "forbidden");
        assert!(!answer.body.contains(claim), "{}", answer.body);
        world.logged(&format!("its {claim} is {value:?}"))?;
    }
    let elsewhere = json!({ "channel": "octo-org/api" });
    refused(
        &world.order(&world.token(|_| ())?, &elsewhere)?,
        403,
        "forbidden",
    );
    Ok(())
}

#[test]
fn a_bad_token_is_one_and_the_same_401_and_costs_neither_hub_nor_kv() -> Result<()> {
    // A relay of its own, because it counts.
    let world = World::start()?;
    let claims = world.issuer.claims(PUBLIC_URL);
    let (key, stranger) = (world.issuer.key()?, world.issuer.key()?.other()?);
    let known = json!({ "alg": "RS256", "kid": key.kid });
    let none = json!({ "alg": "none", "kid": key.kid });
    let changed = |claim: &str, value: Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        key.sign(&claims)
    };
    let good = key.sign(&claims)?;
    let (unsigned, _) = good.rsplit_once('.').context("no signature")?;
    let bad = [
        stranger.sign(&claims)?,
        stranger.sign_as(&known, &claims)?,
        key.sign_as(&none, &claims)?,
        format!("{unsigned}."),
        changed("iss", json!("https://token.actions.githubusercontent.com"))?,
        changed("aud", json!(world.relay.url))?,
        changed("exp", json!(1_700_000_000))?,
        // Anybody on GitHub can have one of these.
        changed("repository_id", json!("5"))?,
        "a.b.c".to_owned(),
        "nothing".to_owned(),
        token(Role::Host, "pi", &["*"])?.replace("tl1.", "tl2."),
    ];
    world.relay.reset_counts()?;
    let mut bodies = Vec::new();
    for token in &bad {
        let answer = world.order(token, &web())?;
        refused(&answer, 401, "bad_token");
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    let counts = world.relay.counts()?;
    for count in ["hub_requests", "kv_reads", "kv_writes"] {
        assert_eq!(counts[count], 0, "{count}");
    }
    assert_eq!(world.issuer.key_fetches(), 1);
    assert_eq!(world.order(&good, &web())?.status, 201);
    keys_may_change(&world)
}

/// The rest of that relay's life: its clock is set ahead, so that nobody has to wait.
fn keys_may_change(world: &World) -> Result<()> {
    let ahead = |minutes: i64| {
        world
            .relay
            .ahead(Duration::from_secs(60 * minutes.unsigned_abs()))
    };
    let order = |key: &Key, minutes: i64| {
        let mut claims = world.issuer.claims(PUBLIC_URL);
        for claim in ["iat", "exp"] {
            claims[claim] = json!(claims[claim].as_i64().unwrap_or_default() + 60 * minutes);
        }
        world.order(&key.sign(&claims)?, &web())
    };
    let old = world.issuer.key()?;
    world.issuer.rotate()?;
    let new = world.issuer.key()?;
    // Within a minute of the last fetch nobody makes the relay ask again.
    for _ in 0..3 {
        refused(&order(&new, 0)?, 401, "bad_token");
    }
    assert_eq!(
        (order(&old, 0)?.status, world.issuer.key_fetches()),
        (201, 1)
    );
    ahead(2)?;
    // Many jobs at once make it ask once, and each waits for that answer.
    world.issuer.slow(Duration::from_millis(300));
    let statuses: Vec<_> = thread::scope(|scope| {
        let jobs =
            [(); 4].map(|()| scope.spawn(|| order(&new, 2).map(|answer| answer.status).ok()));
        jobs.into_iter()
            .map(|job| job.join().ok().flatten())
            .collect()
    });
    assert_eq!(statuses, [Some(201); 4]);
    world.issuer.slow(Duration::ZERO);
    refused(&order(&old, 2)?, 401, "bad_token");
    assert_eq!(world.issuer.key_fetches(), 2);
    // An issuer that is down keeps nobody out whose key is known, for an hour.
    world.issuer.fail(true);
    ahead(30)?;
    assert_eq!(order(&new, 30)?.status, 201);
    ahead(90)?;
    refused(&order(&new, 90)?, 503, "unavailable");
    world.logged("answered 500")?;
    world.issuer.fail(false);
    ahead(91)?;
    assert_eq!(order(&new, 91)?.status, 201);
    Ok(())
}

#[test]
fn where_nobody_is_let_in_a_jobs_token_is_a_401_and_the_log_says_what_to_set() -> Result<()> {
    let world = world()?;
    let relay = crate::relay()?;
    let answer = relay.post("/v1/intents", &world.token(|_| ())?, &web())?;
    refused(&answer, 401, "bad_token");
    until("the log", Duration::from_secs(10), || {
        Ok(relay
            .output()
            .contains("oidc and PUBLIC_URL are not set")
            .then_some(()))
    })
}
