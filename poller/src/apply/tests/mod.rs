//! What a deploy says of itself at its end, and how it is stopped; what is inspected and recovered stands beside.

use std::{
    future::pending,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use super::*;
use crate::{
    docker::fake::{connected, engine, updated_engine},
    machine::{Member, Step},
    plan::Refusal,
    settings::Settings,
};

mod inspected;
mod recovered;

fn service(name: &str) -> Service {
    let text = format!(
        "[relay]\nurl = \"https://towline.example.workers.dev\"\n[service.{name}]\nrepository = \"octo-org/web\"\n\
         workflow = \"ci.yml\"\nbranch = \"main\"\ndocker = {{ container = \"web\" }}\n"
    );
    Settings::parse(&text, "towline.toml")
        .unwrap()
        .services
        .remove(0)
}

/// A container as the engine shows it.
fn shown(id: &str, name: &str) -> Value {
    json!({ "Id": id, "Name": format!("/{name}"), "Image": "sha256:1", "Config": {}, "State": { "Running": true } })
}

fn side(digit: &str) -> Side {
    Side {
        sha: None,
        digest: Some(format!("sha256:{}", digit.repeat(64)).parse().unwrap()),
    }
}

fn ended(ending: Ending, runs: bool) -> Deploy {
    let member = Member {
        name: "web".to_owned(),
        old: "abc".to_owned(),
        policy: Value::Null,
        runs,
        was_healthy: true,
        was_restarting: false,
        tag: None,
    };
    let mut deploy = Deploy::new("0a1b2c3d".to_owned(), vec![member], side("1"), side("2"));
    deploy.state = crate::machine::State::Ended { ending };
    deploy
}

#[test]
fn a_message_says_from_what_to_what_how_long_and_what_went_wrong() {
    let web = service("web");
    let took = Duration::from_millis(3400);
    let said = |deploy: &Deploy| Applied::of(deploy, Some(&web), took).message;
    let good = Ending::Succeeded {
        gate: Some(Gate::Healthy),
    };
    assert_eq!(
        said(&ended(good, true)),
        "web: 111111111111 -> 222222222222 in 3.4 s"
    );
    let stopped = said(&ended(Ending::Succeeded { gate: None }, false));
    assert!(
        stopped.ends_with("it was stopped and stays so"),
        "{stopped}"
    );
    let mut bad = ended(
        Ending::RolledBack {
            why: "gate: it answered 500".to_owned(),
        },
        true,
    );
    bad.notes
        .push("could not move the local tag back: x".to_owned());
    assert_eq!(
        said(&bad),
        "web: 222222222222 failed: gate: it answered 500; could not move the local tag back: x"
    );
    bad.fault = crate::machine::Fault::Version;
    bad.members[0].was_healthy = false;
    let both = said(&bad);
    assert!(
        both.ends_with("did not pass its checks either: are they right?"),
        "{both}"
    );
}

#[test]
fn a_message_names_those_that_share_with_the_container_as_what_became_of_them() {
    let why = || "gate: it answered 500".to_owned();
    for (ending, told) in [
        (Ending::Succeeded { gate: None }, "s; with it: app, side"),
        (
            Ending::RolledBack { why: why() },
            "answered 500; put back with it: app, side",
        ),
        (Ending::FailedUntouched { why: why() }, "answered 500"),
        (Ending::NeedsOperator { why: why() }, "answered 500"),
    ] {
        let mut deploy = ended(ending, true);
        for name in ["app", "side"] {
            let name = name.to_owned();
            let one = deploy.members[0].clone();
            deploy.members.push(Member { name, ..one });
        }
        let message = Applied::of(&deploy.accompanied(), None, Duration::ZERO).message;
        assert!(message.ends_with(told), "{message}");
    }
}

#[test]
fn step_times_add_up_in_the_order_of_their_beginnings() {
    let mut clock = StepClock::default();
    for (step, ms) in [("pull", 5), ("rollback", 1), ("rollback", 2)] {
        clock.add(step, Duration::from_millis(ms));
    }
    let times: Vec<(String, u64)> = clock
        .times()
        .into_iter()
        .map(|time| (time.step, time.ms))
        .collect();
    assert_eq!(times, [("pull".to_owned(), 5), ("rollback".to_owned(), 3)]);
}

/// A state directory's journals after `apply` was asked to stop at `stop`, with an engine whose pull takes its time.
async fn stopped_at(stop: impl Future<Output = ()>) -> (Result<Applied, ApplyError>, usize) {
    let answer = |line: &str| match line {
        line if line.contains("/containers/web/") => {
            let mut shown = shown("abc", "web");
            shown["Config"] = json!({ "Image": "ghcr.io/octo-org/web:main" });
            (200, shown.to_string())
        }
        line if line.contains("/containers/json") => (200, "[]".to_owned()),
        line if line.contains("/distribution/") => {
            std::thread::sleep(Duration::from_secs(1));
            (404, json!({ "message": "manifest unknown" }).to_string())
        }
        _ => (404, json!({ "message": "none" }).to_string()),
    };
    let docker = connected(answer).await;
    let state = tempfile::tempdir().unwrap();
    let mut store = Store::open(state.path()).unwrap();
    let (service, intent) = (service("web"), crate::testing::intent(1, 1));
    let job = Job {
        service: &service,
        intent: &intent,
        attempt: 1,
        deploy: "0a1b2c3d".to_owned(),
    };
    let leave = std::future::pending();
    let end = apply(
        &docker,
        &Launcher::own(),
        &mut store,
        &job,
        stop,
        leave,
        &mut |_| (),
    )
    .await;
    (end, store.open_journals().unwrap().len())
}

#[tokio::test]
async fn a_stop_during_the_preparations_abandons_them_at_once() {
    let begun = Instant::now();
    let (end, journals) = stopped_at(tokio::time::sleep(Duration::from_millis(100))).await;
    assert!(matches!(end, Err(ApplyError::Stopped)), "{end:?}");
    assert!(begun.elapsed() < Duration::from_millis(900));
    assert_eq!(journals, 0);
    let (end, _) = stopped_at(std::future::ready(())).await;
    assert!(matches!(end, Err(ApplyError::Stopped)), "{end:?}");
    let (end, _) = stopped_at(pending()).await;
    assert_eq!(end.unwrap().outcome, Outcome::Waiting, "nobody asked");
}
