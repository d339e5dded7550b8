//! `retry`, `rollback` and `resolve` while `towline run` has the state, as processes; and killed ones.

use std::{
    io::Write,
    net::TcpListener,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::NamedTempFile;
use towline::store::CauseKind;
use towline_protocol::{IntentId, Outcome};
use towline_tests::server::request;

use crate::{
    roll_back::{Host, Said},
    scene::{docker, intent, received, reopened},
};

/// A process that ends with this, as if by `kill -9`.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn of(host: &Host, arguments: &[&str]) -> Self {
        let mut command = host.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "waited too long until {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// `towline run`, once it serves the control socket.
pub(crate) fn run(host: &mut Host) -> Process {
    host.let_go();
    let run = Process::of(host, &["run"]);
    until("it serves", || {
        let said = host.say(&["status", "--json"]);
        said.status == 0 && said.out.contains("\"pid\"")
    });
    run
}

pub(crate) fn service(host: &Host) -> Value {
    let said = host.say(&["status", "--json"]);
    let status: Value = serde_json::from_str(&said.out).unwrap();
    status["services"][0].clone()
}

/// Lets the state hold an intent for the commit that everything here is about.
pub(crate) fn receive(host: &mut Host) {
    let mut intent = intent(None);
    intent.id = IntentId::of_key(host.scene.name);
    intent.channel = format!("octo-org/{}", host.scene.name).parse().unwrap();
    received(&mut host.scene.store, &intent);
}

fn ended(said: &Said, status: i32, outcome: &str) {
    assert_eq!(said.status, status, "{}{}", said.out, said.err);
    assert!(said.out.starts_with(outcome), "{}", said.out);
}

fn refused(host: &Host, arguments: &[&str], words: &str) {
    let said = host.say(arguments);
    assert_eq!(said.status, 1, "{}{}", said.out, said.err);
    assert!(said.err.contains(words), "{}", said.err);
}

#[tokio::test]
async fn a_running_towline_tries_again_goes_back_and_forth_again_as_it_is_ordered() {
    let mut host = Host::on_v1("ordered", 2, "toy v", &[]).await;
    host.scene.release("v2", "500", &[]);
    receive(&mut host);
    let _run = run(&mut host);
    until("v2 has failed", || {
        service(&host)["last"]["outcome"] == "rolled_back"
    });
    let said = host.say(&["retry", "ordered"]);
    ended(&said, 3, "rolled_back: ");
    assert!(said.err.contains("ordered: rolling back: "), "{}", said.err);

    host.scene.release("v3", "ok", &[]);
    let said = host.say(&["retry", "ordered"]);
    ended(&said, 0, "succeeded: ");
    for step in [
        "pulled",
        "created",
        "stopped",
        "swapped",
        "started",
        "passed",
        "healthy",
        "committed",
    ] {
        assert!(
            said.err.contains(&format!("ordered: {step}")),
            "{}",
            said.err
        );
    }
    assert_eq!(host.scene.get().unwrap(), "toy v3 \n");
    assert_eq!(service(&host)["held"], Value::Null);
    refused(&host, &["retry", "ordered"], "nothing to try again");

    ended(&host.say(&["rollback", "ordered"]), 0, "succeeded: ");
    assert_eq!(host.scene.get().unwrap(), "toy v1 \n");
    let held = service(&host)["held"]["why"].clone();
    assert!(held.as_str().unwrap().contains("on purpose"), "{held}");
    let table = host.say(&["status"]).out;
    assert!(table.contains("held since"), "{table}");

    ended(&host.say(&["retry", "ordered"]), 0, "succeeded: ");
    assert_eq!(host.scene.get().unwrap(), "toy v3 \n");
    let after = service(&host);
    assert_eq!(after["held"], Value::Null);
    assert_eq!(
        after["quarantined"].as_array().unwrap().len(),
        1,
        "v2 alone: {after}"
    );
    assert_eq!(host.scene.containers(), ["ordered"]);
}

#[tokio::test]
async fn a_running_towline_declines_with_the_reason_and_touches_nothing() {
    let mut host = Host::on_v1("orderedno", 2, "toy v", &[]).await;
    let before = host.scene.inspect();
    let _run = run(&mut host);
    refused(&host, &["retry", "orderedno"], "no intent is known");
    refused(
        &host,
        &["rollback", "orderedno"],
        "no earlier version is kept",
    );
    for command in ["retry", "rollback", "resolve"] {
        refused(
            &host,
            &[command, "other"],
            "no [service.other] in the host's file",
        );
    }
    let said = host.say(&["resolve", "orderedno"]);
    ended(&said, 0, "orderedno was not waiting for an operator\n");
    let after = host.scene.inspect();
    assert_eq!(
        (&after["Id"], &after["State"]["StartedAt"]),
        (&before["Id"], &before["State"]["StartedAt"])
    );
}

#[tokio::test]
async fn an_order_whose_client_is_killed_is_carried_out_to_its_end() {
    let mut host = Host::on_v1("deserted", 2, "toy v", &[]).await;
    host.deploy("v2").await;
    let before = host.scene.inspect()["Id"].clone();
    let _run = run(&mut host);
    let client = Process::of(&host, &["rollback", "deserted"]);
    until("it has begun", || host.scene.containers().len() == 2);
    drop(client);
    until("it has ended", || !service(&host)["held"].is_null());
    assert_eq!(host.scene.get().unwrap(), "toy v1 \n");
    assert_ne!(host.scene.inspect()["Id"], before);
    assert_eq!(host.scene.containers(), ["deserted"]);
}

#[tokio::test]
async fn a_rollback_that_is_killed_in_its_gate_is_taken_to_its_end_and_holds() {
    let mut host = Host::on_v1("killedback", 2, "toy v", &[]).await;
    let second = host.deploy("v2").await;
    let before = host.scene.inspect()["Id"].clone();
    // Long enough for the kill on a busy machine.
    host.stable_for("10s");
    host.let_go();
    let rollback = Process::of(&host, &["rollback", "killedback"]);
    until("v1 is in its gate", || {
        host.scene.get().as_deref() == Some("toy v1 \n")
    });
    drop(rollback);
    assert_eq!(
        host.scene.containers().len(),
        2,
        "the old one is kept until the end"
    );
    host.say(&["once"]);
    host.scene.store = reopened(host.state.path());
    let (store, name) = (&host.scene.store, host.name());
    let last = store.history(Some(&name), 1).unwrap().remove(0);
    assert_eq!(
        (last.report.outcome, last.cause.kind),
        (Some(Outcome::Succeeded), CauseKind::Rollback),
        "{}",
        last.report.message
    );
    assert!(store.hold(&name).unwrap().is_some());
    assert_eq!(
        store.quarantine(&name).unwrap()[0].version.to_string(),
        second
    );
    assert_eq!(host.scene.get().unwrap(), "toy v1 \n");
    assert_ne!(host.scene.inspect()["Id"], before);
    assert_eq!(host.scene.containers(), ["killedback"]);
}

/// `towline run` with its log in a file, once it has deployed what waits.
fn watched_run(host: &mut Host) -> (Process, NamedTempFile) {
    receive(host);
    host.let_go();
    let log = NamedTempFile::new().unwrap();
    let mut command = host.command(&["run"]);
    command.stdout(Stdio::null()).stderr(log.reopen().unwrap());
    let run = Process(command.spawn().unwrap());
    until("v2 has succeeded", || {
        let said = host.say(&["status", "--json"]);
        said.status == 0 && service(host)["last"]["outcome"] == "succeeded"
    });
    (run, log)
}

/// Waits until `told` is in the log, and looks whether it is told once, in the report too, and nothing is undone.
fn assert_told(host: &mut Host, run: Process, log: &NamedTempFile, told: &str) {
    let new = host.scene.inspect()["Id"].clone();
    let said = || std::fs::read_to_string(log.path()).unwrap();
    until("it is told", || said().contains(told));
    let table = host.say(&["status"]).out;
    assert!(
        table.contains(&format!("is not well any more: {told}")),
        "{table}"
    );
    drop(run);
    assert_eq!(said().matches(told).count(), 1, "{}", said());
    assert_eq!(host.scene.inspect()["Id"], new);
    host.scene.store = reopened(host.state.path());
    let spooled = host.scene.store.spooled(100).unwrap();
    let [sent] = &spooled[..] else {
        panic!("{spooled:?}");
    };
    assert_eq!(sent.report.outcome, Some(Outcome::Succeeded));
    let message = &sent.report.message;
    assert!(
        message.contains("; not well since") && message.ends_with(told),
        "{message}"
    );
}

/// A relay at this port, which takes whatever it is told, and what it was told.
fn relay() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, told) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (_, body) = request(&stream).unwrap();
            heard.send(String::from_utf8(body).unwrap()).ok();
            let answer =
                "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, told)
}

#[tokio::test]
async fn a_rollback_without_a_run_reports_by_itself() {
    let mut host = Host::on_v1("toldback", 2, "toy v", &[]).await;
    host.deploy("v2").await;
    let (port, told) = relay();
    host.relay_at(port);
    host.let_go();
    ended(&host.say(&["rollback", "toldback"]), 0, "succeeded: ");
    let told: Vec<String> = told.try_iter().collect();
    let told = told.concat();
    assert!(
        told.contains("\"rolled_back\"") && told.contains("on purpose"),
        "{told}"
    );
    let store = reopened(host.state.path());
    assert_eq!(store.spooled(9).unwrap(), []);
}

#[tokio::test]
async fn a_rollback_waits_only_so_long_for_a_relay_that_is_silent() {
    let mut host = Host::on_v1("unheard", 2, "toy v", &[]).await;
    host.deploy("v2").await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    host.relay_at(silent.local_addr().unwrap().port());
    host.let_go();
    let said = host.say(&["rollback", "unheard"]);
    ended(&said, 0, "succeeded: ");
    assert!(
        said.err.contains("has not answered within 10 s"),
        "{}",
        said.err
    );
    let store = reopened(host.state.path());
    assert!(
        !store.spooled(9).unwrap().is_empty(),
        "told by the next run"
    );
}

#[tokio::test]
async fn a_version_that_ends_after_its_success_is_told_and_reported_once_and_nothing_is_undone() {
    let mut host = Host::on_v1("watched", 2, "toy v", &[]).await;
    host.scene.release("v2", "ok", &[]);
    let (run, log) = watched_run(&mut host);
    docker(&["kill", "watched"]);
    assert_told(&mut host, run, &log, "it ended with status 137");
}

#[tokio::test]
async fn a_version_that_turns_unhealthy_after_its_success_is_told_and_reported_too() {
    let mut host = Host::on_v1("sickens", 2, "toy v", &[]).await;
    let check = "HEALTHCHECK --interval=500ms --timeout=1s --retries=2 CMD [\"/toy\", \"health\"]";
    host.scene.release("v2", "ok", &[check]);
    let (run, log) = watched_run(&mut host);
    let sicken = format!("http://127.0.0.1:{}/sicken", host.scene.port);
    ureq::get(sicken).call().unwrap();
    assert_told(&mut host, run, &log, "unhealthy");
}
