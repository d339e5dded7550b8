//! What holds for every input of the relay's readers: one function for each target of `fuzz/`, which panics when it does
//! not.
//!
//! Compiled for `cargo fuzz`, and for this crate's tests, which play the seeds back. In no build that is deployed.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a panic is how a finding is told"
)]

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::Value;
use sha2::Sha256;
use towline_protocol::{
    Glob, Intent, IntentId, MAX_WEBHOOK_BODY, Revocations, Secret, Source, TokenKey,
};

use crate::{
    api::auth,
    error::{Fault, Refusal},
    event,
    gate::{Candidate, Gate},
    hub::store::numbered,
    oidc::{
        Denied,
        claims::{Claims, LEEWAY},
        jwt::{Jwt, MAX_TOKEN, Rs256, Verified},
        keys::{KeySet, RsaKey},
        policy::Policy,
    },
    settings::{self, TokenSettings, Var, WebhookSecrets},
    webhook::{self, Head, Verdict},
};

mod hosts;
mod orders;

pub use hosts::told;
pub use orders::order;

const SECRET: &str = "It's a Secret to Everybody";
const KEY: &str = "a key for tests of thirty-two bytes or more";

/// The most bytes of an intent's JSON: sixteen of them are a mailbox, and many mailboxes an answer.
const MAX_INTENT: usize = 8 * 1024;

/// The headers of a delivery, a line each, and behind them the body: what verifies is signed, and nothing else is taken.
pub fn header(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut line = || lines.next().map(str::to_owned);
    let head = Head {
        content_type: line(),
        content_length: line(),
        signature: line(),
        event: line(),
        delivery: line(),
    };
    let body = lines.collect::<Vec<_>>().join("\n").into_bytes();
    let Ok(signature) = webhook::check_head(&head) else {
        return;
    };
    let length = head.content_length.as_deref().map_or("0", str::trim);
    assert!(
        length
            .parse()
            .is_ok_and(|bytes: usize| bytes <= MAX_WEBHOOK_BODY)
    );
    let claimed = head.signature.as_deref().unwrap_or_default();
    let real = format!("sha256={}", HEXLOWER.encode(&hmac(&body)));
    let secrets = WebhookSecrets {
        current: Secret::new(SECRET),
        previous: Some(Secret::new("another")),
    };
    let verified = webhook::check_signature(&signature, &secrets, &body);
    assert_eq!(verified.is_ok(), claimed.eq_ignore_ascii_case(&real));
    let signed = Head {
        signature: Some(real),
        ..head
    };
    let signature = webhook::check_head(&signed).expect("a signature");
    webhook::check_signature(&signature, &secrets, &body).expect("the body is signed");
    let _ = webhook::read(&signed, &body);
}

fn hmac(body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

/// The body of a delivery, as every event: what is queued is what GitHub's words say, and becomes an intent that is small and
/// reads back as itself.
pub fn payload(input: &[u8]) {
    let wide = r#"{"sources": ["workflow_run", "push", "registry_package", "release", "deployment"],
                   "branches": ["*"], "run_events": ["*"]}"#;
    let gate = |json: &str| {
        let vars = |name: &str| match name {
            "gate" => Var::Json(json.to_owned()),
            _ => Var::Absent,
        };
        settings::gate(&vars).expect("a gate")
    };
    let gates = [gate("{}"), gate(wide)];
    let events = [
        "ping",
        "workflow_run",
        "push",
        "registry_package",
        "release",
        "deployment",
        "?",
    ];
    for name in events {
        let Ok(event) = event::read(name, input) else {
            continue;
        };
        let queued: Vec<_> = gates
            .iter()
            .filter_map(|gate| queue(&event, gate))
            .collect();
        for candidate in queued {
            assert_eq!(candidate.dedupe_key.split(':').next(), key_of(name));
            bear_out(name, input, &candidate.source);
            small_and_whole(candidate);
        }
    }
}

fn queue(event: &event::Event, gate: &Gate) -> Option<Candidate> {
    match webhook::decide(event, gate) {
        Ok(Verdict::Queue(candidate)) => Some(*candidate),
        Ok(Verdict::Answer(_)) => None,
        Err(refusal) => {
            assert!(matches!(refusal, Refusal::BadDelivery(_)), "{refusal}");
            None
        }
    }
}

/// How the dedupe keys of an event begin.
fn key_of(event: &str) -> Option<&'static str> {
    match event {
        "workflow_run" => Some("run"),
        "push" => Some("push"),
        "registry_package" => Some("package"),
        "release" => Some("release"),
        "deployment" => Some("deployment"),
        _ => None,
    }
}

/// The conditions that no setting lifts, read out of the JSON by other code than the gate's.
fn bear_out(event: &str, input: &[u8], source: &Source) {
    let body: Value = serde_json::from_slice(input).expect("it was read before");
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    match source {
        Source::WorkflowRun(run) => {
            assert_eq!(event, "workflow_run");
            assert_eq!(text("/action"), Some("completed"));
            assert_eq!(text("/workflow_run/conclusion"), Some("success"));
            let head = body.pointer("/workflow_run/head_repository/id");
            assert_eq!(head.and_then(Value::as_u64), Some(run.repository_id));
            let event = text("/workflow_run/event").expect("an event");
            assert!(!["pull_request", "pull_request_target", "workflow_run"].contains(&event));
        }
        Source::Push(_) => {
            assert_eq!(event, "push");
            assert_ne!(body.get("deleted"), Some(&Value::Bool(true)));
        }
        Source::RegistryPackage(package) => {
            assert_eq!(event, "registry_package");
            assert!(!package.tag.is_empty());
        }
        Source::Release(_) => {
            assert_eq!(event, "release");
            assert_eq!(text("/action"), Some("published"));
            assert_ne!(body.pointer("/release/draft"), Some(&Value::Bool(true)));
        }
        Source::Deployment(_) => {
            assert_eq!(event, "deployment");
            assert_eq!(text("/action"), Some("created"));
        }
        Source::Manual { .. } | Source::Actions(_) | Source::Unknown => {
            panic!("no delivery is {source:?}");
        }
    }
}

fn small_and_whole(candidate: Candidate) -> Intent {
    let id = IntentId::of_key(&candidate.dedupe_key);
    let intent = numbered(candidate, 1, 1, Timestamp::UNIX_EPOCH);
    assert_eq!(intent.id, id);
    let json = serde_json::to_string(&intent).expect("plain data");
    assert!(json.len() <= MAX_INTENT, "{} bytes: {json}", json.len());
    let again: Intent = serde_json::from_str(&json).expect("its own JSON");
    assert_eq!(again, intent);
    again
}

/// What a bearer may send, and what `REVOKED` may be: nobody makes a token without the key, and what was made reads back.
pub fn token(input: &[u8]) {
    let key = || TokenKey::new(Secret::new(KEY)).expect("long enough");
    let text = String::from_utf8_lossy(input);
    let revoked: Revocations = text.parse().unwrap_or_default();
    let settings = TokenSettings {
        current: key(),
        previous: None,
        revoked,
    };
    assert!(key().verify(&text).is_err());
    assert_eq!(auth::claims(Some(&text), &settings), Err(Refusal::BadToken));
    let bearer = format!("Bearer {text}");
    assert_eq!(
        auth::claims(Some(&bearer), &settings),
        Err(Refusal::BadToken)
    );
    let _ = towline_protocol::Claims::unverified(&text);
    let Ok(claims) = serde_json::from_slice::<towline_protocol::Claims>(input) else {
        return;
    };
    let minted = key().mint(&claims);
    let minted = minted.expose_str().expect("ASCII");
    match key().verify(minted) {
        Ok(again) => {
            assert_eq!(again, claims);
            assert_eq!(
                towline_protocol::Claims::unverified(minted).expect("the same"),
                claims
            );
        }
        // One that is longer than a token may be.
        Err(_) => assert!(minted.len() > towline_protocol::token::MAX_TOKEN_BYTES),
    }
    let other =
        TokenKey::new(Secret::new("another key of thirty-two bytes or more")).expect("long");
    assert!(other.verify(minted).is_err());
}

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const AUDIENCE: &str = "https://towline.example.workers.dev";
const NOW_S: i64 = 1_795_186_000;

/// A token of GitHub Actions, its claims alone, or an issuer's keys: what is taken says what it must.
pub fn jwt(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(keys) = KeySet::read(&text) {
        assert!(keys.find("no such key in any set").is_none());
    }
    let key = key();
    if let Ok(jwt) = Jwt::read(&text) {
        assert!(text.len() <= MAX_TOKEN);
        assert_eq!(verified(jwt, false, &key), Err(Denied::Signature));
    }
    let header = BASE64URL_NOPAD.encode(br#"{"alg": "RS256", "kid": "k"}"#);
    let signature = BASE64URL_NOPAD.encode(&vec![1; key.modulus().len()]);
    let token = format!("{header}.{}.{signature}", BASE64URL_NOPAD.encode(input));
    let Ok(jwt) = Jwt::read(&token) else {
        assert!(token.len() > MAX_TOKEN);
        return;
    };
    let token = verified(jwt, true, &key).expect("a signature that counts");
    if let Ok(claims) = Claims::read(&token, ISSUER, AUDIENCE, NOW_S) {
        let said: Value = serde_json::from_slice(input).expect("it was read before");
        assert_eq!(said["iss"], ISSUER);
        let audience = &said["aud"];
        let many = audience
            .as_array()
            .is_some_and(|many| many.contains(&AUDIENCE.into()));
        assert!(audience == AUDIENCE || many);
        let over = said["exp"].as_i64().expect("exp").saturating_add(LEEWAY) < NOW_S;
        let not_yet = said["iat"].as_i64().expect("iat").saturating_sub(LEEWAY) > NOW_S;
        assert!(!over && !not_yet);
        admitted(&claims);
    }
}

/// Lets in what globs can let in.
fn admitted(claims: &Claims) {
    let any = || vec![Glob::new("*")];
    let policy = Policy {
        issuer: ISSUER.to_owned(),
        jwks_url: String::new(),
        audience: AUDIENCE.to_owned(),
        repository_ids: vec![claims.repository_id],
        workflows: any(),
        refs: any(),
        events: any(),
        channels: any(),
    };
    if policy.admit(claims.clone()).is_ok() {
        let event = claims.event_name.as_str();
        assert!(!["pull_request", "pull_request_target", "workflow_run"].contains(&event));
    }
    let nobody = Policy {
        repository_ids: Vec::new(),
        ..policy
    };
    assert!(nobody.admit(claims.clone()).is_err());
}

/// Says what it is made to say of every signature.
struct Says(bool);

impl Rs256 for Says {
    async fn verify(&self, _: &RsaKey, _: &[u8], _: &[u8]) -> Result<bool, Fault> {
        Ok(self.0)
    }
}

fn verified(jwt: Jwt, good: bool, key: &RsaKey) -> Result<Verified, Denied> {
    let answer = jwt.verify(&Says(good), key).now_or_never();
    answer.expect("nothing to wait for").expect("no fault")
}

/// The public key of RFC 7515, appendix A.2.
fn key() -> RsaKey {
    let jwk = include_str!("../../tests/fixtures/keys/rfc7515-a2.json");
    let mut jwk: Value = serde_json::from_str(jwk).expect("a JWK");
    jwk["kid"] = "k".into();
    let keys = serde_json::json!({ "keys": [jwk] }).to_string();
    let keys = KeySet::read(&keys).expect("a set");
    keys.find("k").expect("the key").clone()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    fn play(folder: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder);
        let files = fs::read_dir(&folder).unwrap();
        let played = files.map(|file| target(&fs::read(file.unwrap().path()).unwrap()));
        assert!(played.count() > 2, "{}", folder.display());
    }

    #[test]
    fn every_seed_of_every_reader_holds() {
        play("fuzz/seeds/header", super::header);
        play("fuzz/seeds/token", super::token);
        play("tests/fixtures/github", super::payload);
        play("fuzz/seeds/jwt", super::jwt);
        play("fuzz/seeds/order", super::order);
        play("fuzz/seeds/told", super::told);
    }
}
