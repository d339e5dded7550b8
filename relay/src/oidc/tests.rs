//! Tokens from their text to the decision, each signed for real: whom the policy lets in, and which claims count.

use std::sync::LazyLock;

use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use towline_protocol::{ActionsSource, Channel, Glob, Source};

use super::{
    Denied,
    claims::Claims,
    jwt::{Jwt, Rs256},
    keys::KeySet,
    policy::{Job, Policy},
    testing::{KEYS, Pure, base64, jwk, sign},
};
use crate::manual;

mod cache;
mod forged;
mod keys;

const NOW: i64 = 1_795_186_000;
const RELAY: &str = "https://towline.octo-org.workers.dev";
const HEADER: &str = r#"{"alg": "RS256", "typ": "JWT", "kid": "one"}"#;

fn globs(texts: &[&str]) -> Vec<Glob> {
    texts.iter().map(|text| Glob::new(*text)).collect()
}

fn policy() -> Policy {
    Policy {
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        jwks_url: "https://token.actions.githubusercontent.com/.well-known/jwks".to_owned(),
        audience: RELAY.to_owned(),
        repository_ids: vec![1_296_269],
        workflows: globs(&["redeploy.yml"]),
        refs: globs(&["refs/heads/main"]),
        events: globs(&["workflow_dispatch"]),
        channels: globs(&["kiosk*"]),
    }
}

/// What GitHub says of a run of `redeploy.yml` that somebody started by hand.
fn claims() -> Value {
    let workflow = "octo-org/web/.github/workflows/redeploy.yml@refs/heads/main";
    json!({
        "iss": "https://token.actions.githubusercontent.com", "aud": RELAY, "jti": "9c0f-1",
        "sub": "repo:octo-org@583231/web@1296269:ref:refs/heads/main",
        "iat": NOW - 10, "nbf": NOW - 610, "exp": NOW + 290,
        "repository": "octo-org/web", "repository_id": "1296269", "repository_owner_id": "583231",
        "ref": "refs/heads/main", "event_name": "workflow_dispatch", "workflow": "Redeploy",
        "workflow_ref": workflow, "job_workflow_ref": workflow,
        "run_id": "30433642", "run_number": "7", "run_attempt": "1", "actor": "octocat",
    })
}

fn key_set() -> KeySet {
    let set = json!({ "keys": [jwk("one", &KEYS[0]), jwk("two", &KEYS[1])] });
    KeySet::read(&set.to_string()).unwrap()
}

/// A token of those claims; signing takes a while where nothing is optimised.
static GOOD: LazyLock<String> = LazyLock::new(|| sign(&KEYS[0], HEADER, &claims().to_string()));

/// All that the relay does with a token, but fetch keys.
fn admit_by(policy: &Policy, token: &str) -> Result<Job, Denied> {
    let jwt = Jwt::read(token)?;
    let unknown = || Denied::UnknownKey(jwt.kid().to_owned());
    let key = key_set().find(jwt.kid()).cloned().ok_or_else(unknown)?;
    let verified = jwt.verify(&Pure, &key).now_or_never().unwrap().unwrap()?;
    let claims = Claims::read(&verified, &policy.issuer, &policy.audience, NOW)?;
    policy.admit(claims)
}

fn admit(token: &str) -> Result<Job, Denied> {
    admit_by(&policy(), token)
}

fn admit_claims(claims: &Value) -> Result<Job, Denied> {
    admit(&sign(&KEYS[0], HEADER, &claims.to_string()))
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[claim] = value;
    claims
}

fn without(claim: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(claim);
    claims
}

#[test]
fn the_example_of_rfc_7515_appendix_a_2_verifies_and_no_other_text_does() {
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                  cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W\
                     2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS\
                     jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv\
                     Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt\
                   0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX\
                   ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5\
                   IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let set = json!({ "keys": [{ "kty": "RSA", "kid": "joe", "n": modulus, "e": "AQAB" }] });
    let set = KeySet::read(&set.to_string()).unwrap();
    let signature = data_encoding::BASE64URL_NOPAD
        .decode(signature.as_bytes())
        .unwrap();
    let verified = |text: &str| {
        let verified = Pure.verify(set.find("joe").unwrap(), text.as_bytes(), &signature);
        verified.now_or_never().unwrap().unwrap()
    };
    assert!(verified(signed));
    assert!(!verified(&signed.replace("VlfQ", "VlfR")));
}

#[test]
fn a_job_that_the_policy_has_becomes_an_intent_of_its_repositorys_channel() {
    let job = admit_claims(&claims()).unwrap();
    let order = br#"{"channel": "octo-org/web", "reason": "the fix", "expires_in": "5m"}"#;
    let order = manual::read(order).unwrap();
    job.demand_channel(&order.channel).unwrap();
    let candidate = job.candidate(order);
    assert_eq!(candidate.dedupe_key, "actions:9c0f-1");
    assert_eq!(candidate.expires_in, Some(300));
    let expected = Source::Actions(ActionsSource {
        repository_id: 1_296_269,
        repository_owner_id: 583_231,
        repository: "octo-org/web".to_owned(),
        workflow: ".github/workflows/redeploy.yml".to_owned(),
        run_id: 30_433_642,
        run_number: 7,
        run_attempt: 1,
        event: "workflow_dispatch".to_owned(),
        actor: Some("octocat".to_owned()),
        reason: "the fix".to_owned(),
    });
    assert_eq!(candidate.source, expected);
}

#[test]
fn a_job_orders_for_its_own_repository_and_for_the_channels_that_the_policy_names() {
    let job = admit_claims(&with("repository", json!("Octo-Org/Web"))).unwrap();
    let may = |channel: &str| job.demand_channel(&channel.parse::<Channel>().unwrap());
    assert!(may("octo-org/web").is_ok() && may("kiosk-7").is_ok());
    for other in ["octo-org/api", "elsewhere/web", "web"] {
        let refusal = may(other).unwrap_err();
        assert_eq!(refusal.status(), 403);
        assert!(refusal.to_string().contains(other));
    }
}

#[test]
fn each_claim_that_the_relay_needs_is_missed() {
    for claim in [
        "iss",
        "aud",
        "exp",
        "iat",
        "jti",
        "repository",
        "repository_id",
        "repository_owner_id",
        "ref",
        "event_name",
        "workflow_ref",
        "run_id",
        "run_number",
        "run_attempt",
    ] {
        let denied = admit_claims(&without(claim)).unwrap_err();
        assert!(matches!(denied, Denied::Claims(_)), "{claim}: {denied}");
        assert!(denied.to_string().contains(claim), "{claim}: {denied}");
        let null = admit_claims(&with(claim, Value::Null)).unwrap_err();
        assert!(matches!(null, Denied::Claims(_)), "{claim}: {null}");
    }
    for claim in ["nbf", "job_workflow_ref", "actor"] {
        assert!(admit_claims(&without(claim)).is_ok(), "{claim}");
    }
}

#[test]
fn each_claim_that_is_wrong_is_named_to_the_log_and_all_look_alike_from_outside() {
    let issuer = policy().issuer;
    for (claim, value) in [
        ("iss", json!(format!("{issuer}/"))),
        ("iss", json!(format!("{issuer}/octo-org"))),
        (
            "iss",
            json!("https://token.actions.githubusercontent.com.evil.example"),
        ),
        ("aud", json!("https://github.com/octo-org")),
        ("aud", json!(format!("{RELAY}/"))),
        ("aud", json!(RELAY.to_uppercase())),
        ("aud", json!([])),
        ("aud", json!(["https://github.com/octo-org"])),
        ("aud", json!({ RELAY: 1 })),
        ("exp", json!(NOW - 61)),
        ("exp", json!(NOW - 9 + 3600)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(i64::MIN)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(1e300)),
        ("exp", json!(format!("{}", NOW + 290))),
        ("iat", json!(NOW + 61)),
        ("iat", json!(i64::MIN)),
        ("nbf", json!(NOW + 61)),
        ("nbf", json!(i64::MAX)),
        ("jti", json!("")),
        ("jti", json!("a b")),
        ("jti", json!("x".repeat(256))),
        ("repository_id", json!(1_296_269)),
        ("repository_id", json!("01296269")),
        ("repository_id", json!("+1296269")),
        ("repository_id", json!("99999999999999999999")),
        ("run_id", json!("-1")),
        ("run_attempt", json!("")),
    ] {
        let denied = admit_claims(&with(claim, value.clone())).unwrap_err();
        assert!(
            matches!(denied, Denied::Claims(_)),
            "{claim} {value}: {denied}"
        );
        assert_eq!(denied.refusal(), crate::error::Refusal::BadToken);
    }
}

#[test]
fn a_clock_may_be_a_minute_off_and_an_audience_one_of_several() {
    for (claim, value) in [
        ("exp", json!(NOW - 60)),
        ("iat", json!(NOW + 60)),
        ("nbf", json!(NOW + 60)),
        ("aud", json!(["https://github.com/octo-org", RELAY])),
        ("exp", json!(NOW - 10 + 3600)),
    ] {
        assert!(admit_claims(&with(claim, value)).is_ok(), "{claim}");
    }
}

#[test]
fn a_good_token_of_a_job_that_the_policy_does_not_have_is_forbidden_and_the_log_says_what() {
    for (claim, value) in [
        (
            "workflow_ref",
            "octo-org/web/.github/workflows/redeploy.yml@evil.yml@refs/heads/main",
        ),
        (
            "workflow_ref",
            "octo-org/web/.github/workflows/redeploy.yml@evil.yml",
        ),
        (
            "workflow_ref",
            "octo-org/web/.github/workflows/ci.yml@refs/heads/main",
        ),
        (
            "workflow_ref",
            "elsewhere/web/.github/workflows/redeploy.yml@refs/heads/main",
        ),
        ("workflow_ref", "octo-org/web/redeploy.yml@refs/heads/main"),
        (
            "workflow_ref",
            "octo-org/web/.github/workflows/redeploy.yml.yml@redeploy.yml",
        ),
        ("workflow_ref", ""),
        ("ref", "refs/heads/main2"),
        ("ref", "refs/tags/main"),
        ("ref", "main"),
        ("event_name", "push"),
        ("event_name", ""),
    ] {
        let denied = admit_claims(&with(claim, json!(value))).unwrap_err();
        assert!(
            matches!(denied, Denied::Policy(_)),
            "{claim} {value}: {denied}"
        );
        assert!(denied.to_string().contains(claim), "{claim}: {denied}");
        let refusal = denied.refusal();
        assert_eq!(refusal.status(), 403);
        assert!(!refusal.to_string().contains(claim), "{refusal}");
    }
}

#[test]
fn another_repositorys_job_learns_no_more_than_without_a_token_and_the_log_says_what() {
    let denied = admit_claims(&with("repository_id", json!("1296270"))).unwrap_err();
    assert!(
        denied.to_string().contains(r#"repository_id is "1296270""#),
        "{denied}"
    );
    assert_eq!(denied.refusal(), crate::error::Refusal::BadToken);
}

#[test]
fn a_fork_and_a_pull_request_are_never_let_in_whatever_the_policy_says() {
    let open = Policy {
        workflows: globs(&["*"]),
        refs: globs(&["*"]),
        events: globs(&["*", "pull_request", "pull_request_target"]),
        ..policy()
    };
    let event = |name: &str| {
        let claims = with("event_name", json!(name)).to_string();
        admit_by(&open, &sign(&KEYS[0], HEADER, &claims))
    };
    assert!(event("push").is_ok());
    for never in ["pull_request", "pull_request_target"] {
        assert!(matches!(event(never), Err(Denied::Policy(_))), "{never}");
    }
    // They hide what began the chain, or begin with a stranger, so that no glob is enough.
    for by_name in ["workflow_run", "issue_comment", "issues", "fork", "watch"] {
        assert!(event(by_name).is_err(), "{by_name}");
    }
    let named = Policy {
        events: globs(&["workflow_run"]),
        ..open.clone()
    };
    let chained = with("event_name", json!("workflow_run")).to_string();
    assert!(admit_by(&named, &sign(&KEYS[0], HEADER, &chained)).is_ok());
    let fork = with("repository_id", json!("5")).to_string();
    assert!(admit_by(&open, &sign(&KEYS[0], HEADER, &fork)).is_err());
}

#[test]
fn a_shared_workflow_is_named_with_its_repository_and_its_ref() {
    let shared = "octo-org/shared/.github/workflows/deploy.yml";
    let admits = |entry: &str| {
        let policy = Policy {
            workflows: globs(&[entry]),
            ..policy()
        };
        let mut claims = with(
            "job_workflow_ref",
            json!(format!("{shared}@refs/heads/main")),
        );
        claims["workflow_ref"] = json!("octo-org/web/.github/workflows/ci.yml@refs/heads/main");
        admit_by(&policy, &sign(&KEYS[0], HEADER, &claims.to_string())).is_ok()
    };
    assert!(admits(&format!("{shared}@refs/heads/main")) && admits(&format!("{shared}@*")));
    assert!(admits("ci.yml") && admits(".github/workflows/ci.yml"));
    for other in ["deploy.yml", shared, &format!("{shared}@refs/tags/v1")] {
        assert!(!admits(other), "{other}");
    }
    let open = Policy {
        workflows: globs(&[&format!("{shared}@*")]),
        ..policy()
    };
    let evil = format!("{shared}@evil.yml@refs/heads/main");
    let evil = with("job_workflow_ref", json!(evil)).to_string();
    assert!(admit_by(&open, &sign(&KEYS[0], HEADER, &evil)).is_err());
}
