//! The gate of one container, and of what has none.

mod set;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::{LazyLock, Mutex},
};

use serde_json::{Value, json};

use super::*;
use crate::{
    docker::fake::connected,
    process::Launcher,
    redact::Secrets,
    settings::{HttpProbe, Probe},
};

/// An engine whose containers all show, look after look, the next of these states; the last one from then on.
async fn showing(states: Vec<Value>) -> Docker {
    let looked = Mutex::new(0);
    connected(move |line| {
        if line.contains("/logs?") {
            return no_log();
        }
        let mut looked = looked.lock().unwrap();
        let state = &states[(*looked).min(states.len() - 1)];
        *looked += 1;
        (
            200,
            json!({ "State": state, "RestartCount": 0 }).to_string(),
        )
    })
    .await
}

/// What an engine answers that has no log of a container, so that there are no last words.
fn no_log() -> (u16, String) {
    (501, json!({ "message": "no log" }).to_string())
}

fn runs() -> Value {
    json!({ "Running": true, "StartedAt": "a" })
}

fn restarts() -> Value {
    json!({ "Running": true, "Restarting": true, "ExitCode": 1, "StartedAt": "a" })
}

fn ended_with_1() -> Value {
    json!({ "Running": false, "ExitCode": 1, "StartedAt": "a" })
}

fn own(status: &str) -> Value {
    json!({ "Running": true, "StartedAt": "a", "Health": { "Status": status } })
}

fn old(was_healthy: bool, was_restarting: bool) -> Old<'static> {
    Old {
        id: "abc",
        was_healthy,
        was_restarting,
    }
}

#[tokio::test]
async fn an_old_version_that_was_not_well_must_run_all_the_same() {
    let at_once = showing(vec![ended_with_1()]).await;
    let soon = showing(vec![runs(), runs(), ended_with_1()]).await;
    for docker in [at_once, soon] {
        let verdict = returned(&docker, &[old(false, false)], &[]).await.unwrap();
        assert_eq!(verdict, Err("it ended with status 1".to_owned()));
    }
    let docker = showing(vec![runs()]).await;
    let verdict = returned(&docker, &[old(false, false)], &[]).await.unwrap();
    assert_eq!(verdict, Ok(()));
}

#[tokio::test]
async fn only_what_restarted_before_may_restart_again_and_nothing_may_end() {
    let verdict = async |states, old| {
        let docker = showing(states).await;
        returned(&docker, &[old], &[]).await.unwrap()
    };
    let states = vec![runs(), restarts()];
    assert_eq!(
        verdict(states.clone(), old(false, false)).await,
        Err("it restarted after it ended with status 1".to_owned())
    );
    assert_eq!(verdict(states, old(false, true)).await, Ok(()));
    assert_eq!(
        verdict(vec![restarts(), ended_with_1()], old(false, true)).await,
        Err("it ended with status 1".to_owned())
    );
}

#[tokio::test]
async fn an_old_version_with_a_healthcheck_of_its_own_is_back_when_that_says_so() {
    let late = vec![own("starting"), own("starting"), own("starting")];
    let docker = showing([late.clone(), vec![own("healthy")]].concat()).await;
    let verdict = returned(&docker, &[old(true, false)], &[]).await.unwrap();
    assert_eq!(verdict, Ok(()));
    // Long after one that merely has to run would have been believed.
    let starting = vec![own("starting"); 12];
    let docker = showing([starting, vec![ended_with_1()]].concat()).await;
    let verdict = returned(&docker, &[old(true, false)], &[]).await.unwrap();
    assert_eq!(verdict, Err("it ended with status 1".to_owned()));
}

#[tokio::test]
async fn a_healthcheck_that_has_no_opinion_yet_is_waited_for() {
    let docker = showing(vec![own("starting"), own("starting"), own("healthy")]).await;
    assert_eq!(is_well(&docker, "abc", &[]).await, Ok(true));
    let docker = showing(vec![own("starting"), own("unhealthy")]).await;
    assert_eq!(is_well(&docker, "abc", &[]).await, Ok(false));
}

/// A server that gives each connection the next of `answers` and then none, as a check.
fn served(answers: &'static [&'static str], within: Duration) -> HealthCheck {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for status in answers {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    HealthCheck::Tried {
        probe: Probe::Http(HttpProbe {
            url: url.parse().unwrap(),
            status: None,
            contains: None,
            json: None,
        }),
        within,
    }
}

#[tokio::test]
async fn one_bad_answer_does_not_make_an_old_version_unwell_and_its_check_has_its_own_limit() {
    let docker = showing(vec![runs()]).await;
    let late = &["503 Soon", "503 Soon", "200 OK"];
    let check = served(late, Duration::from_secs(60));
    assert_eq!(is_well(&docker, "abc", &[check]).await, Ok(true));
    let check = served(late, Duration::from_millis(50));
    assert_eq!(is_well(&docker, "abc", &[check]).await, Ok(false));
}

#[tokio::test]
async fn the_window_begins_anew_after_a_bad_answer_and_a_version_that_flaps_has_no_more_than_its_time()
 {
    const GOOD: &str = "200 OK";
    const BAD: &str = "500 Oops";
    let docker = showing(vec![runs()]).await;
    let ids = ["abc".to_owned()];
    let once = served(
        &[GOOD, BAD, GOOD, GOOD, GOOD, GOOD, GOOD],
        Duration::from_secs(60),
    );
    let verdict = gate(&docker, &ids, &[once], None, Duration::ZERO, &|_| ())
        .await
        .unwrap();
    assert_eq!(verdict, Ok(Gate::Healthy));
    let flaps = served(
        &[GOOD, BAD, GOOD, BAD, GOOD, BAD],
        Duration::from_millis(1500),
    );
    let why = gate(&docker, &ids, &[flaps], None, Duration::ZERO, &|_| ())
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        why.contains("was good, and then not: it answered 500"),
        "{why}"
    );
}

#[tokio::test]
async fn unhealthy_and_a_restart_within_the_window_are_the_last_word() {
    let ids = ["abc".to_owned()];
    let verdict = async |states| {
        let docker = showing(states).await;
        gate(&docker, &ids, &[], None, Duration::ZERO, &|_| ())
            .await
            .unwrap()
    };
    let sick = verdict(vec![own("healthy"), own("healthy"), own("unhealthy")]).await;
    assert_eq!(sick, Err("it was healthy, and then unhealthy".to_owned()));
    let again = json!({ "Running": true, "StartedAt": "b", "Health": { "Status": "healthy" } });
    let restarted = verdict(vec![own("healthy"), own("healthy"), again]).await;
    assert_eq!(restarted, Err("it restarted".to_owned()));
}

#[tokio::test]
async fn a_healthcheck_that_was_unhealthy_before_it_was_healthy_is_healthy() {
    let docker = showing(vec![own("starting"), own("unhealthy"), own("healthy")]).await;
    let verdict = gate(
        &docker,
        &["abc".to_owned()],
        &[],
        None,
        Duration::ZERO,
        &|_| (),
    )
    .await;
    assert_eq!(verdict.unwrap(), Ok(Gate::Healthy));
}

#[tokio::test]
async fn the_first_check_that_fails_ends_it_without_waiting_for_the_others() {
    let docker = showing(vec![runs()]).await;
    let slow = served(&[], Duration::from_secs(3600));
    let fails = served(&["500 Oops"; 50], Duration::from_millis(200));
    let begun = std::time::Instant::now();
    let verdict = gate(
        &docker,
        &["abc".to_owned()],
        &[slow, fails],
        None,
        Duration::ZERO,
        &|_| (),
    )
    .await;
    assert!(verdict.unwrap().unwrap_err().contains("it answered 500"));
    assert!(begun.elapsed() < Duration::from_secs(60));
}

/// A place where nothing is run.
fn nowhere() -> Host<'static> {
    static LAUNCHER: LazyLock<Launcher> = LazyLock::new(|| Launcher("/nowhere".into()));
    static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::default);
    Host {
        launcher: &LAUNCHER,
        user: None,
        dir: Path::new("/"),
        env: &[],
        secrets: &SECRETS,
    }
}

#[tokio::test]
async fn what_is_no_container_passes_by_what_it_serves_and_fails_by_what_only_a_container_has() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let tried = |probe| HealthCheck::Tried {
        probe,
        within: Duration::from_millis(1500),
    };
    let open = tried(Probe::Tcp(format!("127.0.0.1:{port}").parse().unwrap()));
    let brief = Some(Duration::from_millis(10));
    let gated = async |check: &HealthCheck| {
        let checks = std::slice::from_ref(check);
        gate_host(&nowhere(), checks, brief, Duration::ZERO, &|_| ()).await
    };
    assert_eq!(gated(&open).await, Ok(Gate::Healthy));
    assert!(
        is_well_host(&nowhere(), &[]).await
            && is_well_host(&nowhere(), std::slice::from_ref(&open)).await
    );
    let weak = gate_host(&nowhere(), &[], None, Duration::ZERO, &|_| ()).await;
    assert_eq!(weak, Ok(Gate::Weak));
    drop(listener);
    let of_containers = [
        open,
        tried(Probe::Tcp("{container}:5432".parse().unwrap())),
        HealthCheck::Docker { within: None },
    ];
    for check in &of_containers {
        assert!(gated(check).await.is_err(), "{check:?}");
        let back = returned_host(&nowhere(), std::slice::from_ref(check)).await;
        assert!(back.is_err(), "{check:?}");
    }
}
