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

/// A container as the engine shows it.
fn shown(id: &str, name: &str) -> Value {
    json!({ "Id": id, "Name": format!("/{name}"), "Image": "sha256:1", "Config": {}, "State": { "Running": true } })
}

#[tokio::test]
async fn a_stranger_whose_id_begins_like_the_name_is_not_the_container() {
    let answer = |line: &str| match line {
        line if line.contains("/containers/web/") => (200, shown("web0ff", "stranger").to_string()),
        line if line.contains("/containers/json") => (200, "[]".to_owned()),
        _ => (404, json!({ "message": "none" }).to_string()),
    };
    let docker = connected(answer).await;
    let error = inspect_service(&docker, &service("web")).await.unwrap_err();
    assert!(
        matches!(&error, InspectError::Refused(Refusal::Absent(name)) if name == "web"),
        "{error}"
    );
}

#[tokio::test]
async fn the_container_of_that_name_is_the_one() {
    let answer = |line: &str| match line {
        line if line.contains("/containers/web/") => (200, shown("abc", "web").to_string()),
        line if line.contains("/containers/json") => (200, "[]".to_owned()),
        _ => (404, json!({ "message": "none" }).to_string()),
    };
    let docker = connected(answer).await;
    let observed = inspect_service(&docker, &service("web")).await.unwrap();
    assert_eq!(observed.id(), "abc");
}

#[tokio::test]
async fn the_container_that_publishes_the_engines_port_is_refused() {
    let port = Arc::new(OnceLock::new());
    let published = Arc::clone(&port);
    let (address, _) = engine(move |line| match line {
        line if line.contains("/containers/web/") => {
            let mut shown = shown("abc", "web");
            let binding = json!([{ "HostIp": "0.0.0.0", "HostPort": published.get() }]);
            shown["NetworkSettings"] = json!({ "Ports": { "2375/tcp": binding } });
            (200, shown.to_string())
        }
        line if line.contains("/containers/json") => (200, "[]".to_owned()),
        _ => (404, json!({ "message": "none" }).to_string()),
    });
    port.set(address.rsplit(':').next().map(str::to_owned))
        .unwrap();
    let docker = Docker::connect(Some(&address)).await.unwrap();
    let error = inspect_service(&docker, &service("web")).await.unwrap_err();
    assert!(
        matches!(&error, InspectError::Refused(Refusal::Proxy)),
        "{error}"
    );
}

/// An open journal with this text, in a state directory of its own, and what a recovery makes of it.
async fn recovered(body: &str) -> (Result<Applied, ApplyError>, Vec<JournalEntry>, JournalEntry) {
    let state = tempfile::tempdir().unwrap();
    let mut store = Store::open(state.path()).unwrap();
    let entry = JournalEntry {
        deploy: "0a1b2c3d".to_owned(),
        service: "web".parse().unwrap(),
        intent: crate::testing::intent(1, 1).id,
        attempt: 1,
        body: body.to_owned(),
        on_purpose: None,
        begun: None,
    };
    store.write_journal(&entry).unwrap();
    let docker = connected(|line| panic!("the engine was asked: {line}")).await;
    let end = recover(&docker, &mut store, &entry, None, pending(), &mut |_| ()).await;
    (end, store.open_journals().unwrap(), entry)
}

#[tokio::test]
async fn a_newer_versions_journal_is_an_error_and_stays() {
    let (end, left, entry) = recovered("{ \"format\": 2, \"more\": [] }").await;
    let error = end.unwrap_err();
    assert!(
        matches!(
            &error,
            ApplyError::Store(StoreError::Newer { found: 2, .. })
        ),
        "{error}"
    );
    assert!(error.to_string().contains("0a1b2c3d"), "{error}");
    assert_eq!(left, [entry]);
}

#[tokio::test]
async fn a_damaged_journals_text_is_kept_for_the_operator() {
    let (end, _, _) = recovered("{ \"format\": 1, \"members\": [{ \"old\": \"abc\" }] }").await;
    let applied = end.unwrap();
    assert_eq!(applied.outcome, Outcome::NeedsOperator);
    assert!(applied.log_tail.contains("abc"), "{applied:?}");
}

/// An engine on which the old container `abc` is parked and stopped, and the new one `def` was never started.
fn half_way_engine() -> (String, Arc<Mutex<Vec<String>>>) {
    faulty_engine(|_| None)
}

/// The same, if `fault` has no other answer.
fn faulty_engine(
    fault: impl Fn(&str) -> Option<(u16, String)> + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let started = AtomicBool::new(false);
    let renamed = AtomicBool::new(false);
    let sound = move |line: &str| match line {
        line if line.contains("/abc/json") => {
            let is_back = renamed.load(Ordering::Relaxed);
            let mut shown = shown("abc", if is_back { "web" } else { "web--old-0a1b2c3d" });
            shown["State"] = json!({ "Running": started.load(Ordering::Relaxed) });
            (200, shown.to_string())
        }
        line if line.contains("/abc/rename?name=web") => {
            renamed.store(true, Ordering::Relaxed);
            (204, String::new())
        }
        line if line.contains("/abc/start") => {
            started.store(true, Ordering::Relaxed);
            (204, String::new())
        }
        line if line.starts_with("DELETE") => (204, String::new()),
        _ => (404, json!({ "message": "No such container" }).to_string()),
    };
    engine(move |line| fault(line).unwrap_or_else(|| sound(line)))
}

/// A state with the journal of a deploy that was interrupted at `step`.
fn half_way(step: Step) -> (tempfile::TempDir, Store, JournalEntry) {
    let state = tempfile::tempdir().unwrap();
    let mut store = Store::open(state.path()).unwrap();
    let good = Ending::Succeeded { gate: None };
    let mut deploy = ended(good, true);
    deploy.state = crate::machine::State::Replacing {
        step,
        at: 0,
        new: vec!["def".to_owned()],
    };
    let entry = JournalEntry {
        deploy: "0a1b2c3d".to_owned(),
        service: "web".parse().unwrap(),
        intent: crate::testing::intent(1, 1).id,
        attempt: 1,
        body: deploy.to_journal().unwrap(),
        on_purpose: None,
        begun: None,
    };
    store.write_journal(&entry).unwrap();
    (state, store, entry)
}

#[tokio::test]
async fn a_disk_that_is_full_since_the_crash_keeps_no_service_down() {
    let (_state, mut store, entry) = half_way(Step::Promote);
    store.tamper(
        "CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT RAISE(FAIL, 'disk is full'); END",
    );
    let (address, asked) = half_way_engine();
    let docker = Docker::connect(Some(&address)).await.unwrap();
    let applied = recover(&docker, &mut store, &entry, None, pending(), &mut |_| ())
        .await
        .unwrap();
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(
        applied.message.contains("interrupted (promote)"),
        "{}",
        applied.message
    );
    let asked = asked.lock().unwrap();
    assert!(
        asked.iter().any(|line| line.contains("/abc/start")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_proxy_that_does_not_reach_the_engine_for_a_moment_leaves_nothing_to_an_operator() {
    let (_state, mut store, entry) = half_way(Step::Promote);
    let is_first = AtomicBool::new(true);
    let (address, _) = faulty_engine(move |line| {
        let is_hit = line.contains("/rename") && is_first.swap(false, Ordering::Relaxed);
        is_hit.then(|| (503, "<html>No server is available</html>".to_owned()))
    });
    let docker = Docker::connect(Some(&address)).await.unwrap();
    let applied = recover(&docker, &mut store, &entry, None, pending(), &mut |_| ())
        .await
        .unwrap();
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
}

#[tokio::test]
async fn a_gate_that_is_left_by_a_stop_stays_in_the_journal_as_it_is() {
    let (_state, mut store, mut entry) = half_way(Step::Gate);
    let docker = connected(|line| {
        assert!(line.contains("GET") && line.contains("/def/"), "{line}");
        let mut shown = shown("def", "web");
        shown["State"] = json!({ "Running": true, "Health": { "Status": "starting" } });
        (200, shown.to_string())
    })
    .await;
    for _ in 0..2 {
        let (service, begun) = (service("web"), Instant::now());
        let stop = tokio::time::sleep(Duration::from_millis(300));
        let end = recover(
            &docker,
            &mut store,
            &entry,
            Some(&service),
            stop,
            &mut |_| (),
        )
        .await;
        assert!(
            matches!(&end, Err(ApplyError::Left(deploy)) if deploy == "0a1b2c3d"),
            "{end:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(100));
        entry = store.open_journals().unwrap().remove(0);
        let left = Deploy::from_journal(&entry.body).unwrap();
        let is_watched = matches!(
            left.state,
            crate::machine::State::Replacing {
                step: Step::Gate,
                ..
            }
        );
        assert!(is_watched && left.watch.is_some(), "{left:?}");
    }
}

#[tokio::test]
async fn an_engine_that_comes_back_as_another_version_is_asked_as_that_one() {
    let (_state, mut store, entry) = half_way(Step::Create);
    let words = "client version 1.41 is too old. Minimum supported API version is 1.44";
    let (address, asked) = updated_engine(vec!["1.41", "1.44"], move |line| {
        let status = if line.contains("/v1.41/") { 400 } else { 404 };
        (status, json!({ "message": words }).to_string())
    });
    let docker = Docker::connect(Some(&address)).await.unwrap();
    let applied = recover(&docker, &mut store, &entry, None, pending(), &mut |_| ())
        .await
        .unwrap();
    let asked = asked.lock().unwrap();
    assert!(asked[0].contains("/v1.41/"), "{asked:?}");
    assert!(
        asked[1..].iter().all(|line| line.contains("/v1.44/")),
        "{asked:?}"
    );
    assert_eq!(
        applied.outcome,
        Outcome::FailedUntouched,
        "{}",
        applied.message
    );
}

#[tokio::test]
async fn what_is_not_worth_keeping_is_let_go_by_the_engine_that_came_back() {
    let (_state, mut store, mut entry) = half_way(Step::Gate);
    let mut deploy = Deploy::from_journal(&entry.body).unwrap();
    deploy = deploy.on(crate::machine::Event::Failed {
        why: "it answered 500".to_owned(),
    });
    deploy.kept = Some(crate::machine::Kept {
        new: "towline/web:2".to_owned(),
        old: "towline/web:1".to_owned(),
        made: true,
    });
    entry.body = deploy.to_journal().unwrap();
    let words = "client version 1.41 is too old. Minimum supported API version is 1.44";
    let (address, asked) = updated_engine(vec!["1.41", "1.44"], move |line| {
        let status = if line.contains("/v1.41/") { 400 } else { 404 };
        (status, json!({ "message": words }).to_string())
    });
    let docker = Docker::connect(Some(&address)).await.unwrap();
    let web = service("web");
    recover(
        &docker,
        &mut store,
        &entry,
        Some(&web),
        pending(),
        &mut |_| (),
    )
    .await
    .unwrap();
    let asked = asked.lock().unwrap();
    let of_images = |line: &&String| line.contains("/images/json");
    let tidied = asked.iter().find(of_images).unwrap();
    assert!(tidied.contains("/v1.44/"), "{asked:?}");
}

#[tokio::test]
async fn an_old_version_whose_stop_the_engine_or_a_proxy_forbids_serves_on() {
    for (status, words) in [
        (500, "cannot stop container: abc: permission denied"),
        (403, "Forbidden"),
    ] {
        let (_state, mut store, entry) = half_way(Step::Stop);
        let (address, asked) = faulty_engine(move |line| match line {
            line if line.contains("/stop") => {
                Some((status, json!({ "message": words }).to_string()))
            }
            line if line.contains("/abc/json") => Some((200, shown("abc", "web").to_string())),
            _ => None,
        });
        let docker = Docker::connect(Some(&address)).await.unwrap();
        let applied = recover(&docker, &mut store, &entry, None, pending(), &mut |_| ())
            .await
            .unwrap();
        assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
        assert!(applied.message.contains(words), "{}", applied.message);
        let asked = asked.lock().unwrap();
        assert!(
            asked.iter().any(|line| line.contains("/abc/stop")),
            "{asked:?}"
        );
    }
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
    let end = apply(&docker, &mut store, &job, stop, leave, &mut |_| ()).await;
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
