//! A relay that cannot answer, or takes no reports.

use super::*;

#[test]
fn the_hub_is_asked_for_a_gap_and_when_it_cannot_answer_the_mailbox_still_counts() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "manual = false");
    assert_eq!(host.once().0, 0);
    relay.change(|state| state.intents = news(&[manual(3)]));
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    assert!(log.contains("cannot serve now (503)"), "{log}");
    assert_eq!(relay.outcomes().len(), 1);
    relay.change(|state| state.fresh = news(&[manual(1), manual(2), manual(3)]));
    assert_eq!(host.once().0, 3);
    assert_eq!(relay.outcomes().len(), 3);
    relay.change(|state| state.polls = 0);
    assert_eq!(host.once().0, 0);
    assert_eq!(
        relay.change(|state| state.polls),
        1,
        "no gap is left to ask for"
    );
}

#[test]
fn reports_are_kept_while_the_relay_takes_none_and_one_that_it_never_takes_blocks_nothing() {
    let relay = Relay::start();
    relay.change(|state| {
        state.intents = news(&[manual(1)]);
        state.reports = (
            "503 Service Unavailable",
            "application/json",
            "{}".to_owned(),
        );
    });
    let host = Host::new(relay.port, "manual = false");
    assert_eq!(host.once().0, 3);
    let (status, log) = host.once();
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("reports are kept"), "{log}");
    // A proxy's own refusal is not the relay's, so that it puts nothing aside.
    relay.change(|state| state.reports.0 = "403 Forbidden");
    let (status, log) = host.once();
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("without the error of a relay"), "{log}");
    let refusal = r#"{"error": {"code": "bad_request", "message": "because"}}"#;
    relay.change(|state| {
        state.reports.0 = "400 Bad Request";
        state.reports.2 = refusal.to_owned();
    });
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("put aside"), "{log}");
    relay.change(|state| {
        state.reports.0 = "202 Accepted";
        state.intents = news(&[manual(1), manual(2)]);
    });
    assert_eq!(host.once().0, 3);
    assert_eq!(relay.outcomes().len(), 1, "only the second one");
}

#[test]
fn run_keeps_going_when_the_relay_fails_and_ends_on_sigterm() {
    let relay = Relay::start();
    relay.change(|state| state.intents.0 = "500 Internal Server Error");
    let host = Host::new(relay.port, "manual = false");
    let mut run = host
        .command(&["run", "--interval", "1s"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("it has failed and asked again", || {
        relay.change(|state| state.polls > 1)
    });
    relay.change(|state| state.intents = news(&[manual(1)]));
    until("the refusal is reported", || !relay.outcomes().is_empty());
    let killed = Command::new("sh")
        .args(["-c", &format!("kill -TERM {}", run.id())])
        .status()
        .unwrap();
    assert!(killed.success());
    let begun = Instant::now();
    let status = run.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut log = String::new();
    run.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("cannot serve now (500)")
            && log.contains("answers again")
            && log.contains("stopped"),
        "{log}"
    );
}
