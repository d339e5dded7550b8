use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use towline_protocol::IntentId;

use super::*;

fn read_json(body: Value) -> Result<Order, Refusal> {
    read(body.to_string().as_bytes())
}

fn full() -> Value {
    json!({
        "channel": "octo-org/web", "service": "web", "hosts": ["pi", "nas"], "sha": "a".repeat(40),
        "image": { "reference": "ghcr.io/octo-org/web:v2", "digest": format!("sha256:{}", "0".repeat(64)) },
        "reason": "the fix for the login", "expires_in": "30m",
    })
}

fn operator(order: Order, key: &str) -> Candidate {
    let ops = "ops".parse().unwrap();
    by_operator(order, &ops, &Key::Given(key.to_owned()))
}

/// The intent that the hub makes of a candidate.
fn stored(candidate: Candidate) -> Intent {
    let created_at: Timestamp = "2026-11-20T15:00:00.123Z".parse().unwrap();
    let lives = candidate.expires_in.map(i64::from);
    Intent {
        id: IntentId::of_key(&candidate.dedupe_key),
        channel: candidate.channel,
        epoch: 7,
        seq: 3,
        created_at,
        expires_at: lives.map(|seconds| created_at + SignedDuration::from_secs(seconds)),
        source: candidate.source,
        revision: candidate.revision,
        image: candidate.image,
        service: candidate.service,
        hosts: candidate.hosts,
    }
}

#[test]
fn everything_that_may_be_said_is_read() {
    let order = read_json(full()).unwrap();
    assert_eq!(order.channel.as_str(), "octo-org/web");
    assert_eq!(order.service.unwrap().as_str(), "web");
    assert_eq!(order.hosts.len(), 2);
    assert_eq!(order.sha.unwrap().short(), "aaaaaaa");
    let image = order.image.unwrap();
    assert_eq!(image.reference.as_deref(), Some("ghcr.io/octo-org/web:v2"));
    assert!(image.digest.is_some());
    assert_eq!(
        (order.reason.as_str(), order.expires_in),
        ("the fix for the login", 1800)
    );
}

#[test]
fn a_channel_is_enough_and_means_what_the_hosts_file_says_for_an_hour() {
    let order = read_json(json!({ "channel": "kiosk", "new_in_2027": [1] })).unwrap();
    let nulls = json!({
        "channel": "kiosk", "service": null, "hosts": null, "sha": null, "image": null,
        "reason": null, "expires_in": null,
    });
    assert_eq!(read_json(nulls).unwrap(), order);
    assert_eq!((order.sha, order.image, order.service), (None, None, None));
    assert_eq!((order.hosts.len(), order.expires_in), (0, 3600));
}

#[test]
fn an_image_may_be_written_as_people_write_it() {
    let image = |text: &str| {
        read_json(json!({ "channel": "kiosk", "image": text }))
            .unwrap()
            .image
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    let both = image(&format!("ghcr.io/octo-org/web:v2@{digest}")).unwrap();
    assert_eq!(both.reference.as_deref(), Some("ghcr.io/octo-org/web:v2"));
    assert_eq!(both.digest.unwrap().as_str(), digest);
    assert_eq!(image("web:v2").unwrap().digest, None);
}

#[test]
fn a_member_that_is_wrong_is_named_with_what_would_be_right() {
    let long = "x".repeat(513);
    let many: Vec<_> = (0..65).map(|n| format!("h{n}")).collect();
    for (member, value, said) in [
        ("channel", json!(null), "channel is missing"),
        (
            "channel",
            json!("Octo-Org/Web"),
            "channel: channel \"Octo-Org/Web\"",
        ),
        ("channel", json!(7), "channel: invalid type"),
        ("service", json!("Web"), "service: service \"Web\""),
        ("hosts", json!("pi"), "hosts: invalid type"),
        ("hosts", json!(["Pi"]), "hosts: host \"Pi\""),
        ("hosts", json!(many), "at most 64"),
        ("sha", json!("main"), "sha: commit \"main\""),
        ("image", json!({}), "image: give a reference"),
        ("image", json!(7), "image: give a reference"),
        (
            "image",
            json!({ "reference": 7 }),
            "image: reference: invalid type",
        ),
        ("image", json!(""), "the reference must be"),
        (
            "image",
            json!("web:v2 --privileged"),
            "the reference must be",
        ),
        ("image", json!(long), "at most 512 bytes"),
        ("image", json!("web@sha256:0"), "image: digest"),
        ("image", json!({ "digest": "latest" }), "image: digest"),
        ("reason", json!("two\nlines"), "reason: one line"),
        ("reason", json!("\u{1b}[2J"), "reason: one line"),
        ("reason", json!(long), "at most 512 bytes"),
        ("expires_in", json!(60), "expires_in: invalid type"),
        ("expires_in", json!("1w"), "expires_in is \"1w\""),
        ("expires_in", json!("0s"), "expires_in is \"0s\""),
        ("expires_in", json!("367d"), "at most 366d"),
    ] {
        let mut body = full();
        body[member] = value;
        let refusal = read_json(body).unwrap_err();
        assert_eq!(refusal.status(), 400);
        let message = refusal.to_string();
        assert!(message.contains(said), "{member}: {message}");
    }
}

#[test]
fn what_is_no_object_or_may_be_read_in_two_ways_is_refused() {
    let doubled = br#"{"channel": "kiosk", "channel": "octo-org/web"}"#;
    for body in [
        &b""[..],
        b"[]",
        b"null",
        b"\"kiosk\"",
        b"{",
        b"\xff",
        doubled,
    ] {
        assert_eq!(read(body).unwrap_err().status(), 400);
    }
}

#[test]
fn an_idempotency_key_is_visible_ascii_or_refused() {
    assert_eq!(idempotency_key(None), Ok(None));
    let longest = "k".repeat(255);
    for good in ["1", "\"9f2c\"", &longest] {
        assert_eq!(idempotency_key(Some(good)), Ok(Some(good)));
    }
    for bad in ["", " ", "two words", "a, b", "é", "a\tb", &"k".repeat(256)] {
        assert_eq!(
            idempotency_key(Some(bad)).unwrap_err().status(),
            400,
            "{bad:?}"
        );
    }
}

#[test]
fn a_key_belongs_to_its_operator_and_no_key_makes_every_request_a_new_one() {
    let order = || read_json(full()).unwrap();
    let key = |operator: &str, key: &Key| {
        by_operator(order(), &operator.parse().unwrap(), key).dedupe_key
    };
    let given = |text: &str| Key::Given(text.to_owned());
    assert_eq!(key("ops", &given("1")), key("ops", &given("1")));
    assert_ne!(key("ops", &given("1")), key("night", &given("1")));
    assert_ne!(key("ops", &given("b:1")), key("ops-b", &given("1")));
    let random = [
        key("ops", &Key::Random([1; 16])),
        key("ops", &Key::Random([2; 16])),
    ];
    assert_ne!(random[0], random[1]);
    let guessed = random[0].split_once(':').unwrap().1.to_owned();
    assert_ne!(random[0], key("once", &Key::Given(guessed)));
}

#[test]
fn the_same_request_again_is_the_same_intent_and_another_one_a_conflict() {
    let first = operator(read_json(full()).unwrap(), "1");
    let intent = stored(first.clone());
    let again = |body: Value| {
        ordered(
            &operator(read_json(body).unwrap(), "1"),
            true,
            intent.clone(),
        )
    };
    assert_eq!(
        ordered(&first, false, intent.clone()),
        Ordered::New(Box::new(intent.clone()))
    );
    let mut other_order = full();
    other_order["hosts"] = json!(["nas", "pi", "nas"]);
    other_order["more"] = json!(1);
    assert_eq!(again(other_order), Ordered::Again(Box::new(intent.clone())));
    for (member, value) in [
        ("channel", json!("octo-org/api")),
        ("service", json!(null)),
        ("hosts", json!(["pi"])),
        ("sha", json!("b".repeat(40))),
        ("image", json!("ghcr.io/octo-org/web:v3")),
        ("reason", json!("another")),
        ("expires_in", json!("31m")),
    ] {
        let mut body = full();
        body[member] = value;
        assert_eq!(again(body), Ordered::Conflict, "{member}");
    }
}

#[test]
fn an_order_is_answered_by_what_became_of_it() {
    let intent = Box::new(stored(operator(read_json(full()).unwrap(), "1")));
    let new = answer(Ordered::New(intent.clone()), |_| None).unwrap();
    let again = answer(Ordered::Again(intent.clone()), |_| None).unwrap();
    assert_eq!((new.status, again.status), (201, 200));
    assert_eq!(new.body, again.body);
    assert_eq!(serde_json::from_str::<Intent>(&new.body).unwrap(), *intent);
    assert!(!new.body.contains("ticket"));
    let refusal = answer(Ordered::Conflict, |_| None).unwrap_err();
    assert_eq!((refusal.status(), refusal.code()), (409, "conflict"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    #[test]
    fn what_is_stored_is_always_recognised_again(seconds in 1u32..366 * 86_400, reason in "[ -~]{0,40}") {
        let body = json!({ "channel": "kiosk", "expires_in": format!("{seconds}s"), "reason": reason });
        let candidate = operator(read_json(body).unwrap(), "1");
        let json = serde_json::to_string(&stored(candidate.clone())).unwrap();
        let intent = serde_json::from_str(&json).unwrap();
        prop_assert!(matches!(ordered(&candidate, true, intent), Ordered::Again(_)));
    }
}
