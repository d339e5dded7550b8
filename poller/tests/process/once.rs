//! `towline once`: how it ends, and what is reported.

use std::os::unix::net::UnixListener;

use serde_json::json;

use super::*;

#[test]
fn nothing_to_do_is_0_and_nothing_is_reported() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    assert_eq!(relay.outcomes(), []);
}

#[test]
fn a_relay_that_does_not_answer_like_one_is_a_clear_error_and_1() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let refusal = r#"{"error":{"code":"bad_token","message":"no such token"}}"#.to_owned();
    let answers = [
        (
            "401 Unauthorized",
            "application/json",
            refusal,
            "does not accept this host's token (401): no such token",
        ),
        (
            "200 OK",
            "text/html",
            "<html>".to_owned(),
            "expected JSON, found \"text/html\"",
        ),
        (
            "200 OK",
            "application/json",
            " ".repeat(10 << 20),
            "longer than 1048576 bytes",
        ),
        ("302 Found", "text/plain", String::new(), "redirects (302)"),
    ];
    for (status, kind, body, told) in answers {
        relay.change(|state| state.intents = (status, kind, body));
        let (status, log) = host.once();
        assert_eq!(status, 1, "{log}");
        assert!(log.contains(told), "{log}");
        let token = fs::read_to_string(host.path("token")).unwrap();
        assert!(!log.contains(token.trim()), "the token is in the log");
    }
    let (status, log) = Host::new(9, "").once();
    assert_eq!(status, 1);
    assert!(log.contains("cannot reach the relay"), "{log}");
}

#[test]
fn a_missing_token_is_1() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    fs::remove_file(host.path("token")).unwrap();
    let (status, log) = host.once();
    assert_eq!(status, 1);
    assert!(log.contains("cannot read the token"), "{log}");
}

#[test]
fn what_the_hosts_file_refuses_is_reported_with_its_line_and_3() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "manual = false");
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    assert_eq!(relay.outcomes(), [("web".to_owned(), "refused".to_owned())]);
    let message = relay.change(|state| state.heard[0]["message"].to_string());
    assert!(
        message.contains("towline.toml:9: manual = false"),
        "{message}"
    );
    assert_eq!(host.once().0, 0, "told once, and nothing to do then");
    assert_eq!(relay.outcomes().len(), 1);
}

#[test]
fn every_intent_is_acknowledged_once_also_one_that_no_service_is_for() {
    let relay = Relay::start();
    let mut for_api = manual(1);
    for_api["service"] = "api".into();
    relay.change(|state| state.intents = news(&[for_api, manual(2)]));
    let host = Host::new(relay.port, "manual = false");
    for _ in 0..2 {
        host.once();
        let acknowledged = relay.acknowledged().into_iter();
        let matched: Vec<_> = acknowledged.map(|(_, matched)| matched).collect();
        assert_eq!(matched, [json!(null), json!(["web"])]);
    }
}

#[test]
fn a_new_intent_for_a_service_that_needs_an_operator_is_4_until_it_is_resolved() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "");
    {
        let mut store = Store::open(&host.path("state")).unwrap();
        let web = "web".parse().unwrap();
        let failed = report::blank(
            IntentId::of_key("an earlier one"),
            &web,
            1,
            Outcome::NeedsOperator,
            Timestamp::now(),
        );
        store.close_journal("0", &web, &End::of(failed)).unwrap();
    }
    for _ in 0..2 {
        let (status, log) = host.once();
        assert_eq!(status, 4, "{log}");
        assert!(
            log.contains("see to it, then run `towline resolve web`"),
            "{log}"
        );
        assert!(!log.contains("picked up"), "{log}");
    }
    let resolved = host.command(&["resolve", "web"]).output().unwrap();
    assert!(resolved.status.success());
    let (status, log) = host.once();
    assert_eq!(status, 1, "now the engine is missed");
    assert!(log.contains("picked up"), "{log}");
}

#[test]
fn a_retry_of_what_cannot_be_retried_says_so_and_is_1() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "manual = false");
    relay.change(|state| state.intents = news(&[manual(1)]));
    assert_eq!(host.once().0, 3);
    for (service, told) in [
        ("api", "there is no [service.api] in the host's file"),
        (
            "web",
            "no intent is known for web that could be tried again",
        ),
    ] {
        let (status, log) = ended(host.command(&["retry", service]).output().unwrap());
        assert_eq!(status, 1, "{log}");
        assert!(log.contains(told), "{log}");
    }
    assert_eq!(
        host.command(&["retry"]).output().unwrap().status.code(),
        Some(2)
    );
}

#[test]
fn a_retry_tries_what_waits_for_the_engine_and_reports_as_once_does() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1), manual(2)]));
    let host = Host::new(relay.port, "");
    relay.change(|state| state.reports.0 = "503 Service Unavailable");
    assert_eq!(host.once().0, 1);
    relay.change(|state| state.reports.0 = "202 Accepted");
    let (status, log) = ended(host.command(&["retry", "web"]).output().unwrap());
    assert_eq!(status, 1, "{log}");
    assert!(
        log.contains("to be tried again") && log.contains("does not answer"),
        "{log}"
    );
    assert_eq!(waits_for_the_engine(&relay), ["superseded", "waiting"]);
}

#[test]
fn a_service_whose_channel_the_token_is_not_for_does_not_stop_the_others() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "manual = false");
    let file = fs::read_to_string(host.path("towline.toml")).unwrap();
    let foreign = "[service.api]\nrepository = \"mallory/api\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
                   docker = { container = \"api\" }\n";
    fs::write(host.path("towline.toml"), file.clone() + foreign).unwrap();
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    assert!(log.contains("not for this channel"), "{log}");
    assert_eq!(relay.outcomes(), [("web".to_owned(), "refused".to_owned())]);
    let asked = relay.change(|state| state.asked.clone());
    assert!(
        asked.contains("web") && !asked.contains("mallory"),
        "{asked}"
    );
    assert_eq!(host.once().0, 1, "the file and the token do not fit");
    // With no channel left the relay says what it thinks of the token.
    let only = file.replace("octo-org/web", "mallory/web");
    fs::write(host.path("towline.toml"), only).unwrap();
    assert_eq!(host.once().0, 1);
    assert!(relay.change(|state| state.asked.contains("mallory")));
}

#[test]
fn a_disk_that_fails_later_does_not_hide_how_a_deploy_ended() {
    let relay = Relay::start();
    let mut for_api = manual(2);
    for_api["service"] = "api".into();
    relay.change(|state| state.intents = news(&[manual(1), for_api]));
    let host = Host::new(relay.port, "");
    let mut file = fs::read_to_string(host.path("towline.toml")).unwrap();
    file += "[service.api]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             manual = false\ndocker = { container = \"api\" }\n";
    fs::write(host.path("towline.toml"), file).unwrap();
    drop(Store::open(&host.path("state")).unwrap());
    let full = "CREATE TRIGGER full BEFORE INSERT ON seen WHEN NEW.key = 'web'
                BEGIN SELECT RAISE(FAIL, 'disk is full'); END";
    let db = rusqlite::Connection::open(host.path("state/state.db")).unwrap();
    db.execute_batch(full).unwrap();
    drop(db);
    let (status, log) = host.once();
    assert!(log.contains("disk is full"), "{log}");
    assert_eq!(status, 3, "{log}");
    assert_eq!(relay.outcomes(), [("api".to_owned(), "refused".to_owned())]);
}

#[test]
fn an_engine_that_is_down_costs_no_intent() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1), manual(2)]));
    let host = Host::new(relay.port, "");
    for _ in 0..2 {
        let (status, log) = host.once();
        assert_eq!(status, 1, "{log}");
        assert!(
            log.contains("picked up") && log.contains("does not answer"),
            "{log}"
        );
        assert_eq!(waits_for_the_engine(&relay), ["superseded", "waiting"]);
    }
}

#[test]
fn what_there_is_to_report_does_not_wait_for_the_end_of_a_deploy() {
    let relay = Relay::start();
    let mut for_api = manual(1);
    for_api["service"] = "api".into();
    relay.change(|state| state.intents = news(&[for_api, manual(2)]));
    let host = Host::new(relay.port, "");
    let mut file = fs::read_to_string(host.path("towline.toml")).unwrap();
    file += "[service.api]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             manual = false\ndocker = { container = \"api\" }\n";
    fs::write(host.path("towline.toml"), file).unwrap();
    // An engine that takes a call and does not answer: the deploy to web begins and gets no further.
    let engine = UnixListener::bind(host.path("no-engine.sock")).unwrap();
    let mut once = host.command(&["once"]);
    let mut once = once.stderr(Stdio::null()).spawn().unwrap();
    until("api's refusal and both acknowledgements are told", || {
        let refused = ("api".to_owned(), "refused".to_owned());
        relay.outcomes() == [refused] && relay.acknowledged().len() == 2
    });
    let (_asked, _) = engine.accept().unwrap();
    assert!(
        once.try_wait().unwrap().is_none(),
        "it still asks the engine"
    );
    once.kill().unwrap();
    once.wait().unwrap();
}

/// The outcomes that the relay has heard, each once; it knows last that the newest intent waits for the engine.
fn waits_for_the_engine(relay: &Relay) -> Vec<String> {
    let told = relay.change(|state| state.heard.clone());
    let told: Vec<_> = told
        .iter()
        .filter(|one| !one["service"].is_null())
        .collect();
    let last = told.last().unwrap();
    assert_eq!(last["intent"], manual(2)["id"]);
    assert!(
        last["message"].to_string().contains("does not answer"),
        "{last}"
    );
    let outcomes = told.iter().map(|one| one["outcome"].as_str().unwrap());
    let mut outcomes: Vec<_> = outcomes.map(str::to_owned).collect();
    outcomes.dedup();
    outcomes
}
