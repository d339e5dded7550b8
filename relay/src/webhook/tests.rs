//! What is signed and what is not, and what a delivery's headers and body must be.

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
        include_bytes!("../../../tests/fixtures/github/ping.json"),
    ),
    (
        "workflow_run",
        include_bytes!("../../../tests/fixtures/github/workflow_run.completed.json"),
    ),
    (
        "push",
        include_bytes!("../../../tests/fixtures/github/push.json"),
    ),
    (
        "registry_package",
        include_bytes!("../../../tests/fixtures/github/registry_package.published.json"),
    ),
    (
        "release",
        include_bytes!("../../../tests/fixtures/github/release.published.json"),
    ),
    (
        "deployment",
        include_bytes!("../../../tests/fixtures/github/deployment.of-a-job.json"),
    ),
    (
        "deployment_status",
        include_bytes!("../../../tests/fixtures/github/deployment_status.created.json"),
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
    let ping = include_bytes!("../../../tests/fixtures/github/ping.json");
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
