//! A delivery from headers and bytes to a decision: the order of checks, without any I/O.
//!
//! The shell calls [`check_head`], reads the body up to its cap, then calls [`check_signature`],
//! [`read`] and [`decide`]. Only the body is signed: nothing here trusts the event header or the GUID
//! further than the body bears out. The signature follows GitHub's "Validating webhook deliveries".

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use towline_protocol::{MAX_WEBHOOK_BODY, Secret, WebhookAnswer, WebhookStatus};

use crate::{
    error::Refusal,
    event::{self, Event},
    gate::{Candidate, Decision, Gate},
    settings::WebhookSecrets,
};

/// The headers that a delivery is judged by.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Length`.
    pub content_length: Option<String>,
    /// `X-Hub-Signature-256`.
    pub signature: Option<String>,
    /// `X-GitHub-Event`.
    pub event: Option<String>,
    /// `X-GitHub-Delivery`, the GUID.
    pub delivery: Option<String>,
}

/// What the signature header holds: an HMAC-SHA256 that somebody claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature([u8; 32]);

/// What the shell does about a delivery that passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Have the hub number it.
    Queue(Box<Candidate>),
    /// Answer 200 with this.
    Answer(WebhookAnswer),
}

/// The checks that need no body: 415, 413 by `Content-Length`, 401 without a signature.
///
/// # Errors
/// The first of these that applies.
pub fn check_head(head: &Head) -> Result<Signature, Refusal> {
    if !is_json(head.content_type.as_deref()) {
        return Err(Refusal::HookContentType);
    }
    check_length(head.content_length.as_deref(), MAX_WEBHOOK_BODY)?;
    let signature = head.signature.as_deref().and_then(Signature::parse);
    signature.ok_or(Refusal::BadSignature)
}

/// Whether the body was signed with one of the secrets, in constant time.
///
/// # Errors
/// [`Refusal::BadSignature`] when with neither.
pub fn check_signature(
    signature: &Signature,
    secrets: &WebhookSecrets,
    body: &[u8],
) -> Result<(), Refusal> {
    let previous = secrets.previous.iter();
    let mut secrets = std::iter::once(&secrets.current).chain(previous);
    if secrets.any(|secret| signature.is_of(secret, body)) {
        Ok(())
    } else {
        Err(Refusal::BadSignature)
    }
}

/// Reads a body whose signature is right.
///
/// # Errors
/// 400 when the event or GUID header is missing, or the body is not that event.
pub fn read(head: &Head, body: &[u8]) -> Result<Event, Refusal> {
    let missing = |header| Refusal::BadDelivery(format!("the header {header} is missing"));
    let present = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let name = present(&head.event).ok_or_else(|| missing("X-GitHub-Event"))?;
    present(&head.delivery).ok_or_else(|| missing("X-GitHub-Delivery"))?;
    event::read(&name, body).map_err(|error| Refusal::BadDelivery(error.to_string()))
}

/// What becomes of an event.
///
/// # Errors
/// 400 when the repository's name is none that GitHub gives.
pub fn decide(event: &Event, gate: &Gate) -> Result<Verdict, Refusal> {
    let decision = match event {
        Event::Ping(ping) => {
            let warning = ping.warning().map(str::to_owned);
            return Ok(answer(WebhookStatus::Pong, warning));
        }
        Event::Other(name) => Ok(Decision::Ignore(gate.ignore(name))),
        Event::WorkflowRun(run) => gate.run(run),
        Event::Push(push) => gate.push(push),
        Event::RegistryPackage(package) => gate.package(package),
        Event::Release(release) => gate.release(release),
        Event::Deployment(deployment) => gate.deployment(deployment),
    };
    match decision {
        Ok(Decision::Queue(candidate)) => Ok(Verdict::Queue(candidate)),
        Ok(Decision::Ignore(reason)) => {
            Ok(answer(WebhookStatus::Ignored, Some(reason.to_string())))
        }
        Err(error) => Err(Refusal::BadDelivery(error.to_string())),
    }
}

/// Whether a content type is JSON, whatever its parameters.
pub fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Refuses a body that says of itself that it is over `limit` bytes.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn check_length(content_length: Option<&str>, limit: usize) -> Result<(), Refusal> {
    let length = content_length.map(|text| text.trim().parse::<usize>());
    match length {
        Some(Ok(length)) if length <= limit => Ok(()),
        None => Ok(()),
        // What is not a number, or not one of this machine's, is not known to be small enough.
        Some(_) => Err(Refusal::TooLarge { limit }),
    }
}

fn answer(status: WebhookStatus, reason: Option<String>) -> Verdict {
    Verdict::Answer(WebhookAnswer {
        status,
        reason,
        intent: None,
        seq: None,
    })
}

impl Signature {
    /// `sha256=` and 64 hex digits.
    fn parse(header: &str) -> Option<Self> {
        let hex = header.strip_prefix("sha256=")?;
        let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    fn is_of(&self, secret: &Secret, body: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose()) else {
            return false;
        };
        mac.update(body);
        mac.verify_slice(&self.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        gate::SourceKind,
        settings::{self, Var},
    };

    const SECRET: &str = "It's a Secret to Everybody";

    fn secrets() -> WebhookSecrets {
        WebhookSecrets {
            current: Secret::new(SECRET),
            previous: Some(Secret::new("the one before")),
        }
    }

    fn sign(secret: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        let bytes = mac.finalize().into_bytes();
        format!("sha256={}", HEXLOWER_PERMISSIVE.encode(&bytes))
    }

    fn head(signature: &str) -> Head {
        Head {
            content_type: Some("application/json".to_owned()),
            content_length: Some("2".to_owned()),
            signature: Some(signature.to_owned()),
            event: Some("issues".to_owned()),
            delivery: Some("any text".to_owned()),
        }
    }

    fn verify(signature: &str, body: &[u8]) -> Result<(), Refusal> {
        check_signature(&check_head(&head(signature))?, &secrets(), body)
    }

    #[test]
    fn githubs_own_example_verifies() {
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        verify(signature, b"Hello, World!").unwrap();
        assert_eq!(
            verify(signature, b"Hello, World?"),
            Err(Refusal::BadSignature)
        );
    }

    #[test]
    fn the_previous_secret_verifies_during_a_rotation_and_no_third_one() {
        verify(&sign("the one before", b"{}"), b"{}").unwrap();
        assert!(verify(&sign("another", b"{}"), b"{}").is_err());
        assert!(verify(&sign("", b"{}"), b"{}").is_err());
    }

    #[test]
    fn a_signature_that_is_missing_or_malformed_gets_the_answer_of_a_wrong_one() {
        let good = sign(SECRET, b"{}");
        let hex = good.strip_prefix("sha256=").unwrap();
        let mut short = good.clone();
        short.pop();
        let two = format!("{good}, {good}");
        let sha1 = format!("sha1={hex}");
        for bad in [
            "",
            "sha256=",
            hex,
            &short,
            &format!("{good}00"),
            &two,
            &sha1,
            "sha256=é",
        ] {
            assert_eq!(verify(bad, b"{}"), Err(Refusal::BadSignature), "{bad:?}");
        }
        let unsigned = Head {
            signature: None,
            ..head("")
        };
        assert_eq!(check_head(&unsigned), Err(Refusal::BadSignature));
    }

    #[test]
    fn a_form_is_told_how_to_set_the_hook_before_anything_else() {
        for content_type in [
            None,
            Some("application/x-www-form-urlencoded"),
            Some("text/plain"),
        ] {
            let form = Head {
                content_type: content_type.map(str::to_owned),
                content_length: Some("99999999".to_owned()),
                ..Head::default()
            };
            let refusal = check_head(&form).unwrap_err();
            assert_eq!(refusal.status(), 415);
            assert!(
                refusal
                    .to_string()
                    .contains("\"Content type\" to application/json")
            );
        }
        assert!(is_json(Some("Application/JSON; charset=utf-8")));
    }

    #[test]
    fn a_length_over_the_cap_is_refused_before_the_signature_is_looked_at() {
        let too_large = |length: &str| {
            let head = Head {
                content_length: Some(length.to_owned()),
                signature: None,
                ..head("")
            };
            check_head(&head).unwrap_err().status()
        };
        assert_eq!(too_large("1048577"), 413);
        assert_eq!(too_large("99999999999999999999999"), 413);
        assert_eq!(too_large("1048576"), 401);
    }

    #[test]
    fn a_signed_delivery_without_event_or_guid_is_refused() {
        for (event, delivery) in [
            (None, Some("x")),
            (Some("issues"), None),
            (Some(""), Some("x")),
        ] {
            let head = Head {
                event: event.map(str::to_owned),
                delivery: delivery.map(str::to_owned),
                ..head("")
            };
            assert_eq!(read(&head, b"{}").unwrap_err().status(), 400);
        }
        assert!(read(&head(""), b"{}").is_ok());
    }

    /// One delivery of each event, and its name.
    const DELIVERIES: [(&str, &[u8]); 7] = [
        (
            "ping",
            include_bytes!("../../tests/fixtures/github/ping.json"),
        ),
        (
            "workflow_run",
            include_bytes!("../../tests/fixtures/github/workflow_run.completed.json"),
        ),
        (
            "push",
            include_bytes!("../../tests/fixtures/github/push.json"),
        ),
        (
            "registry_package",
            include_bytes!("../../tests/fixtures/github/registry_package.published.json"),
        ),
        (
            "release",
            include_bytes!("../../tests/fixtures/github/release.published.json"),
        ),
        (
            "deployment",
            include_bytes!("../../tests/fixtures/github/deployment.of-a-job.json"),
        ),
        (
            "deployment_status",
            include_bytes!("../../tests/fixtures/github/deployment_status.created.json"),
        ),
    ];

    /// A gate that admits every source.
    fn wide() -> Gate {
        let sources =
            r#"{"sources": ["workflow_run", "push", "registry_package", "release", "deployment"]}"#;
        settings::gate(&|_: &str| Var::Json(sources.to_owned())).unwrap()
    }

    fn judged(name: &str, body: &[u8]) -> Result<Verdict, Refusal> {
        let head = Head {
            event: Some(name.to_owned()),
            ..head("")
        };
        read(&head, body).and_then(|event| decide(&event, &wide()))
    }

    #[test]
    fn a_signed_body_counts_under_its_own_events_name_and_under_no_other() {
        let mut queued = Vec::new();
        for (of, body) in DELIVERIES {
            for (name, _) in DELIVERIES {
                match judged(name, body) {
                    Ok(Verdict::Queue(_)) => queued.push((of, name)),
                    Ok(Verdict::Answer(_)) => {}
                    Err(refusal) => assert_eq!(refusal.status(), 400, "{of} as {name}"),
                }
            }
        }
        let own = SourceKind::ALL.map(|kind| (kind.name(), kind.name()));
        assert_eq!(queued, own);
        assert_eq!(judged("ping", DELIVERIES[1].1).unwrap_err().status(), 400);
    }

    /// The places of all values in a document.
    fn places(value: &Value, place: String, found: &mut Vec<String>) {
        let below: Vec<(String, &Value)> = match value {
            Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
            Value::Array(items) => (0..).map(|at: u32| at.to_string()).zip(items).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for (name, value) in below {
            let name = name.replace('~', "~0").replace('/', "~1");
            places(value, format!("{place}/{name}"), found);
        }
        found.push(place);
    }

    #[test]
    fn whatever_stands_in_a_place_of_a_small_delivery_it_is_an_answer_or_a_400() {
        let odd = [
            json!(null),
            json!(-1),
            json!(1.5),
            json!("$(x);\"\n💥"),
            json!(""),
            json!([]),
            json!({}),
            json!(u64::MAX),
        ];
        // A run's body is large, and most of its places are read by nobody.
        for (name, body) in DELIVERIES
            .into_iter()
            .filter(|(name, _)| *name != "workflow_run")
        {
            let whole: Value = serde_json::from_slice(body).unwrap();
            let mut all = Vec::new();
            places(&whole, String::new(), &mut all);
            for (place, value) in all.iter().flat_map(|p| odd.iter().map(move |v| (p, v))) {
                let mut changed = whole.clone();
                *changed.pointer_mut(place).unwrap() = value.clone();
                let judged = judged(name, &serde_json::to_vec(&changed).unwrap());
                let refused = judged.err().map(|refusal| refusal.status());
                assert!(refused.is_none_or(|status| status == 400), "{name} {place}");
            }
        }
    }

    #[test]
    fn a_ping_is_answered_and_every_other_event_ignored_with_a_reason() {
        let gate = settings::gate(&|_: &str| Var::Absent).unwrap();
        let ping = include_bytes!("../../tests/fixtures/github/ping.json");
        let pong = decide(&event::read("ping", ping).unwrap(), &gate).unwrap();
        assert_eq!(pong, answer(WebhookStatus::Pong, None));
        let issues = decide(&Event::Other("issues".to_owned()), &gate).unwrap();
        let Verdict::Answer(issues) = issues else {
            panic!("issues are not queued");
        };
        assert_eq!(issues.status, WebhookStatus::Ignored);
        assert!(issues.reason.unwrap().contains("issues events"));
    }

    proptest! {
        #[test]
        fn no_signed_bytes_make_it_panic_or_be_queued(
            body in proptest::collection::vec(any::<u8>(), 0..400),
            name in "ping|push|workflow_run|registry_package|release|deployment|\\PC{0,8}",
        ) {
            let head = Head { event: Some(name), ..head(&sign(SECRET, &body)) };
            check_signature(&check_head(&head).unwrap(), &secrets(), &body).unwrap();
            if let Ok(event) = read(&head, &body) {
                prop_assert!(!matches!(decide(&event, &wide()), Ok(Verdict::Queue(_))));
            }
        }

        #[test]
        fn a_delivery_with_any_part_cut_out_is_an_answer_and_never_a_panic(
            of in 0..DELIVERIES.len(), from: prop::sample::Index, len in 1usize..2_000,
        ) {
            let (name, body) = DELIVERIES[of];
            let from = from.index(body.len());
            let mut body = body.to_vec();
            body.drain(from..(from + len).min(body.len()));
            let refused = judged(name, &body).err();
            prop_assert!(refused.is_none_or(|refusal| refusal.status() == 400));
        }

        #[test]
        fn a_changed_body_never_verifies(body in proptest::collection::vec(any::<u8>(), 1..200), at: usize) {
            let signature = sign(SECRET, &body);
            let mut changed = body.clone();
            let at = at % changed.len();
            changed[at] ^= 1;
            prop_assert_eq!(verify(&signature, &changed), Err(Refusal::BadSignature));
        }
    }
}
