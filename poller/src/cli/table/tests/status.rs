//! Who serves and how the services stand.

use serde_json::json;

use crate::{
    cli::table::status,
    status::{DoorbellState, DoorbellStatus, Status},
};

fn known() -> Status {
    let digest = crate::testing::digest('a');
    let (sha, intent) = (crate::testing::SHA, crate::testing::intent(7, 1).id);
    let at = "2026-11-20T15:00:00.5Z";
    let seen = |state: &str, digest| json!({ "state": state, "health": null, "exit_code": null, "started_at": at, "reference": "registry.example/web:live", "digest": digest });
    let mut web = seen("running", json!(digest));
    web["health"] = json!("healthy");
    let mut api = seen("exited", json!(null));
    api["exit_code"] = json!(137);
    serde_json::from_value(json!({
        "format": 1, "at": at, "host": "pi",
        "poller": { "version": "9.9.9", "pid": 7, "since": at },
        "relay": { "url": "https://relay.example", "answered_at": at, "trouble": null,
            "doorbell": { "state": "connected", "since": at, "trouble": null } },
        "reports": { "unsent": 2, "refused": 1 },
        "engine": { "trouble": null },
        "services": [
            { "name": "web", "container": "web",
              "deployed": { "sha": sha, "digest": digest, "intent": intent, "since": at },
              "observed": web, "pending": null,
              "last": { "outcome": "succeeded", "intent": intent, "at": at, "message": "" } },
            { "name": "api", "container": "api",
              "deployed": { "sha": sha, "digest": digest, "intent": intent, "since": at },
              "observed": api,
              "pending": { "state": "needs_operator", "intent": intent, "sha": sha, "why": "both\u{1b}[2Jcontainers\nare kept", "since": at, "until": null },
              "last": { "outcome": "needs_operator", "intent": intent, "at": at, "message": "both" } },
            { "name": "db", "container": "db", "deployed": null, "observed": seen("running", json!(digest)), "pending": null,
              "last": { "outcome": "rolled_back", "intent": intent, "at": at, "message": "it did not come up" },
              "quarantined": [crate::testing::digest('b'), crate::testing::digest('c')] },
            { "name": "mail", "container": "mail", "deployed": { "sha": sha, "digest": digest, "intent": intent, "since": at },
              "observed": seen("restarting", json!(digest)), "pending": null, "last": null,
              "held": { "since": at, "why": "taken back on purpose" } },
            { "name": "blog", "container": "blog", "deployed": null, "observed": seen("running", json!(digest)), "pending": null,
              "last": null,
              "locks": [{ "name": "dump", "since": at, "until": "2026-11-20T15:10:00Z", "reason": "nightly dump" },
                        { "name": "operator", "since": at, "until": "2026-11-20T15:20:00Z", "reason": null }] }
        ]
    }))
    .unwrap()
}

#[test]
fn a_status_for_people_says_what_runs_and_what_is_wrong_and_commands_no_terminal() {
    insta::assert_snapshot!(status(&known(), None));
}

#[test]
fn a_poller_that_does_not_run_and_whoever_does_not_answer_are_told() {
    let mut known = known();
    known.poller = None;
    known.relay.trouble = Some("cannot reach the relay".to_owned());
    known.relay.doorbell = known.relay.doorbell.map(|doorbell| DoorbellStatus {
        state: DoorbellState::Lost,
        trouble: Some("the relay hung up".to_owned()),
        ..doorbell
    });
    known.engine.trouble = Some("the Docker engine does not answer".to_owned());
    for service in &mut known.services {
        (service.observed, service.deployed) = (None, None);
    }
    insta::assert_snapshot!(status(&known, None));
}

#[test]
fn services_of_other_kinds_are_told_by_their_checkouts_and_all_their_containers() {
    let mut known = known();
    let one = |service: &str, state: &str, code: Option<i64>| {
        json!({ "service": service, "name": format!("s-{service}-1"), "state": state, "health": null, "exit_code": code,
                "started_at": null, "reference": null, "digest": null, "done": code == Some(0) })
    };
    let at = "2026-11-20T15:00:00Z";
    let sha = crate::testing::SHA;
    let deployed = json!({ "sha": sha, "digest": null, "intent": null, "since": at });
    let checkout = |changes: &[&str], trouble: Option<&str>| json!({ "path": "/srv/app", "commit": trouble.map_or(Some(sha), |_| None), "branch": null, "changes": changes, "trouble": trouble });
    let service = |name: &str, kind: &str, containers, checkout| {
        json!({ "name": name, "kind": kind, "container": null, "deployed": deployed, "observed": null,
        "pending": null, "last": null, "containers": containers, "checkout": checkout })
    };
    let null = || json!(null);
    let with = |mut service: serde_json::Value, key: &str, value: serde_json::Value| {
        service[key] = value;
        service
    };
    let mut other = one("api", "running", None);
    other["as_deployed"] = json!(false);
    let both = json!([one("api", "running", None), one("job", "exited", Some(0))]);
    known.services = serde_json::from_value(json!([
        with(
            service("part", "compose", both.clone(), null()),
            "missing",
            json!([{ "service": "db", "there": 0, "of": 1 }])
        ),
        with(
            service("down", "compose", json!([]), null()),
            "missing",
            json!([{ "service": "api", "there": 0, "of": 2 }])
        ),
        service(
            "other",
            "compose",
            json!([other, one("db", "running", None)]),
            null()
        ),
        with(
            service("unsure", "compose", both, null()),
            "unsure",
            json!(true)
        ),
        with(
            service("lost", "command", null(), checkout(&[], None)),
            "unsure",
            json!(true)
        ),
        service(
            "stack",
            "compose",
            json!([one("api", "running", None), one("job", "exited", Some(0))]),
            null()
        ),
        service(
            "broken",
            "compose",
            json!([one("api", "running", None), one("job", "exited", Some(3))]),
            null()
        ),
        service("gone", "compose", json!([]), null()),
        service("unasked", "compose", null(), null()),
        service("pi", "command", null(), checkout(&[], None)),
        service("edited", "git", null(), checkout(&["app.py"], None)),
        service(
            "foreign",
            "git",
            null(),
            checkout(&[], Some("it is another user's"))
        ),
        service("plain", "command", null(), null()),
    ]))
    .unwrap();
    insta::assert_snapshot!(status(&known, None));
}

#[test]
fn what_kind_a_service_is_of_is_told_only_where_not_all_are_containers() {
    let kinds = |kind: &str| {
        let mut known = known();
        known.services[0].kind = kind.to_owned();
        status(&known, None)
    };
    let has_column = |text: &str| text.lines().any(|line| line.starts_with("SERVICE  KIND "));
    assert!(!has_column(&kinds("docker")));
    let changed = kinds("compose");
    assert!(has_column(&changed), "{changed}");
    let row = |name: &str| changed.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(row("web ").starts_with("web      compose"), "{changed}");
    assert!(row("api ").starts_with("api      docker"), "{changed}");
}
