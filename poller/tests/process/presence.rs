//! What a host says of itself without a doorbell.

use serde_json::json;
use towline::{
    machine::{Deploy, Member},
    store::JournalEntry,
};
use towline_protocol::Side;

use super::*;

#[test]
fn once_says_who_is_there_after_what_there_was_to_do() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "manual = false");
    assert_eq!(host.once().0, 3);
    let web =
        json!({ "name": "web", "channel": "octo-org/web", "kind": "docker", "running": null });
    let said = json!({
        "version": env!("CARGO_PKG_VERSION"), "marks": { "octo-org/web": "7.1" }, "services": [web],
    });
    assert_eq!(relay.change(|state| state.greeted.clone()), [said]);
}

#[test]
fn a_relay_that_does_not_know_the_request_or_cannot_serve_it_costs_nothing() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let refusal = r#"{"error":{"code":"not_found","message":"no such path"}}"#;
    for status in ["404 Not Found", "503 Service Unavailable"] {
        relay.change(|state| state.hello = (status, "application/json", refusal.to_owned()));
        let (status, log) = host.once();
        assert_eq!(status, 0, "{log}");
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    }
    assert_eq!(relay.change(|state| state.greeted.len()), 2);
}

#[test]
fn a_relay_that_does_not_answer_is_not_asked_for_more() {
    let relay = Relay::start();
    relay.change(|state| state.intents.0 = "503 Service Unavailable");
    let host = Host::new(relay.port, "");
    assert_eq!(host.once().0, 1);
    assert_eq!(relay.change(|state| state.greeted.len()), 0);
}

#[test]
fn run_without_a_doorbell_says_who_is_there_at_its_start() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let mut run = host.command(&["run", "--interval", "1s"]);
    let mut run = run.stderr(Stdio::null()).spawn().unwrap();
    until("it is said", || {
        relay.change(|state| state.greeted.len() == 1 && state.polls > 2 && state.bells > 0)
    });
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(
        relay.change(|state| state.greeted.len()),
        1,
        "and then not again for a while"
    );
    assert_eq!(
        relay.change(|state| state.bells),
        1,
        "nor is a doorbell asked for again soon"
    );
}

#[test]
fn a_host_that_cannot_take_a_deploy_to_its_end_polls_acknowledges_and_says_that_it_is_there() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "");
    interrupted(&host);
    let mut run = host.command(&["run", "--interval", "1s"]);
    let mut run = run.stderr(Stdio::null()).spawn().unwrap();
    until("it is there", || {
        relay.change(|state| state.greeted.len() == 1 && state.polls > 1)
            && relay.acknowledged().len() == 1
            && !relay.outcomes().is_empty()
    });
    run.kill().unwrap();
    run.wait().unwrap();
    let only_the_earlier_one = [("web".to_owned(), "waiting".to_owned())];
    assert_eq!(
        relay.outcomes(),
        only_the_earlier_one,
        "nothing new is begun before"
    );
}

/// Leaves a deploy of `web` in the middle, as a power cut does; the engine is not there to take it to its end.
fn interrupted(host: &Host) {
    let member = Member {
        name: "web".to_owned(),
        old: "abc".to_owned(),
        policy: json!({ "Name": "no" }),
        runs: true,
        was_healthy: true,
        was_restarting: false,
        tag: None,
    };
    let side = Side::default();
    let deploy = Deploy::new("0a1b2c3d".to_owned(), vec![member], side.clone(), side);
    let entry = JournalEntry {
        deploy: "0a1b2c3d".to_owned(),
        service: "web".parse().unwrap(),
        intent: IntentId::of_key("an earlier one"),
        attempt: 1,
        body: deploy.to_journal().unwrap(),
        on_purpose: None,
        begun: None,
    };
    let mut store = Store::open(&host.path("state")).unwrap();
    store.write_journal(&entry).unwrap();
}
