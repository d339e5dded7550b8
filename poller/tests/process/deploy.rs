//! `towline deploy`: what is asked of the relay, and what is refused before.

use serde_json::{Value, json};

use super::{
    desk::{Desk, ID, all, intent, no, operator, queued, token},
    *,
};

#[test]
fn what_was_asked_for_is_posted_and_the_id_alone_is_on_standard_output() {
    let desk = Desk::answering(&[queued()], &[no("500 Error")]);
    let digest = format!("sha256:{}", "a".repeat(64));
    let image = format!("ghcr.io/octo-org/web:v2@{digest}");
    let call = [
        "deploy",
        "Octo-Org/Web",
        "--service",
        "web",
        "--image",
        &image,
        "--sha",
        &"b".repeat(40),
        "--host",
        "pi",
        "--host",
        "nas",
        "--reason",
        "say \"hi\"",
        "--expires-in",
        "30m",
    ];
    let (status, out, log) = all(desk.towline(&call));
    assert_eq!((status, out), (0, format!("{ID}\n")), "{log}");
    assert!(
        log.contains("queued on channel octo-org/web as number 3, for service web on every host"),
        "{log}"
    );
    assert!(log.contains(&format!("towline follow {ID}")), "{log}");
    let [request] = &desk.heard()[..] else {
        panic!("one request: {:?}", desk.heard());
    };
    assert!(
        request.starts_with("POST /v1/intents HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("authorization: Bearer tl1."), "{request}");
    let body: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let wanted = json!({
        "channel": "octo-org/web", "service": "web", "hosts": ["pi", "nas"], "sha": "b".repeat(40),
        "image": { "reference": image, "digest": digest }, "reason": "say \"hi\"", "expires_in": "30m"
    });
    assert_eq!(body, wanted);
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_key_and_another_call_has_another() {
    let desk = Desk::answering(
        &[
            no("503 Service Unavailable"),
            ("200 OK", intent()),
            queued(),
        ],
        &[no("500 Error")],
    );
    let (status, out, log) = all(desk.towline(&["deploy", "octo-org/web"]));
    assert_eq!((status, out), (0, format!("{ID}\n")), "{log}");
    assert!(log.contains("because of this; trying again"), "{log}");
    assert_eq!(all(desk.towline(&["deploy", "octo-org/web"])).0, 0);
    let key = |request: &String| {
        let mut lines = request.lines();
        lines
            .find(|line| line.starts_with("idempotency-key:"))
            .unwrap()
            .to_owned()
    };
    let keys: Vec<_> = desk.heard().iter().map(key).collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

#[test]
fn a_refusal_is_1_and_says_what_to_do() {
    for (status, word) in [
        ("401 Unauthorized", "--role operator"),
        ("403 Forbidden", "--channel"),
        ("409 Conflict", "409"),
        ("426 Upgrade Required", "update towline or the relay"),
    ] {
        let desk = Desk::answering(&[no(status)], &[no("500 Error")]);
        let (exit, out, log) = all(desk.towline(&["deploy", "octo-org/web", "--wait"]));
        assert_eq!((exit, out), (1, String::new()), "{log}");
        assert!(
            log.contains("because of this") && log.contains(word),
            "{log}"
        );
        assert_eq!(desk.heard().len(), 1, "{status}");
    }
}

#[test]
fn nothing_is_sent_with_a_token_that_cannot_do_it() {
    let desk = Desk::answering(&[queued()], &[no("500 Error")]);
    for (token, word) in [
        (operator("other/*"), "is not for channel octo-org/web"),
        (token("host", "*"), "needs the role operator"),
        ("hunter2".to_owned(), "is not a token"),
        (" ".to_owned(), "is empty"),
    ] {
        let mut command = desk.towline(&["deploy", "octo-org/web"]);
        command.env("TOWLINE_TOKEN", &token);
        let (exit, _, log) = all(command);
        assert_eq!(exit, 1, "{log}");
        assert!(log.contains(word) && !log.contains("hunter2"), "{log}");
    }
    assert_eq!(desk.heard(), Vec::<String>::new());
}

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    let desk = Desk::answering(&[queued()], &[no("500 Error")]);
    for (wrong, word) in [
        (&["deploy"][..], "CHANNEL|SERVICE"),
        (&["deploy", "octo-org/web", "--sha", "main"], "40 or 64"),
        (
            &["deploy", "octo-org/web", "--image", "sha256:12"],
            "64 lower-case hex",
        ),
        (&["deploy", "octo-org/web", "--image", "a b"], "not valid"),
        (
            &["deploy", "octo-org/web", "--expires-in", "soon"],
            "90s, 30m",
        ),
        (&["deploy", "octo-org/web", "--timeout", "1m"], "--wait"),
        (
            &["deploy", "octo-org/web", "--wait", "--timeout", "0s"],
            "at least 1s",
        ),
        (
            &["deploy", "octo-org/web", "--relay", "http://relay.example"],
            "in the clear",
        ),
        (&["follow", "42"], "in_"),
    ] {
        let (exit, _, log) = all(desk.towline(wrong));
        assert_eq!(exit, 2, "{wrong:?}: {log}");
        assert!(log.contains(word), "{wrong:?}: {log}");
    }
    assert_eq!(desk.heard(), Vec::<String>::new());
}

#[test]
fn a_service_of_the_hosts_file_needs_neither_its_channel_nor_the_relays_address() {
    let desk = Desk::answering(&[queued()], &[no("500 Error")]);
    let host = Host::new(desk.port, "");
    fs::write(host.path("operator"), operator("octo-org/*")).unwrap();
    let mut command = host.command(&["deploy", "web"]);
    command.arg("--token-file").arg(host.path("operator"));
    let (exit, _, log) = all(command);
    assert_eq!(exit, 0, "{log}");
    assert!(
        log.contains("chmod 600"),
        "everybody can read the token: {log}"
    );
    let heard = desk.heard();
    assert!(
        heard[0].contains(r#"{"channel":"octo-org/web","service":"web"}"#),
        "{heard:?}"
    );
}

#[test]
fn a_checkout_is_not_asked_for_without_the_commit_that_it_is_to_be_put_at() {
    let host = Host::with(1, "git = { path = \"DIR/app\" }\n");
    let (status, out, log) = all(host.command(&["deploy", "web"]));
    assert_eq!((status, out.as_str()), (1, ""), "{log}");
    assert!(
        log.contains("web is a git checkout") && log.contains("--sha"),
        "{log}"
    );
}
