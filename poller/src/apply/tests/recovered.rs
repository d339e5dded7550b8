//! What a recovery makes of a journal, with an engine at the transport that answers what the story needs.

use super::*;
use crate::testing::journal_entry;

/// An open journal with this text, in a state directory of its own, and what a recovery makes of it.
async fn recovered(body: &str) -> (Result<Applied, ApplyError>, Vec<JournalEntry>, JournalEntry) {
    let state = tempfile::tempdir().unwrap();
    let mut store = Store::open(state.path()).unwrap();
    let entry = journal_entry(body);
    store.write_journal(&entry).unwrap();
    let docker = connected(|line| panic!("the engine was asked: {line}")).await;
    let end = resumed(&docker, &mut store, &entry, None).await;
    (end, store.open_journals().unwrap(), entry)
}

/// What a recovery comes to that nobody asks to stop.
async fn resumed(
    docker: &Docker,
    store: &mut Store,
    entry: &JournalEntry,
    service: Option<&Service>,
) -> Result<Applied, ApplyError> {
    let launcher = Launcher::own();
    recover(
        docker,
        &launcher,
        store,
        entry,
        service,
        pending(),
        &mut |_| (),
    )
    .await
}

#[tokio::test]
async fn a_newer_versions_journal_is_an_error_and_stays() {
    let (end, left, entry) = recovered("{ \"format\": 4, \"more\": [] }").await;
    let error = end.unwrap_err();
    assert!(
        matches!(
            &error,
            ApplyError::Store(StoreError::Newer { found: 4, .. })
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
    let applied = resumed(&docker, &mut store, &entry, None).await.unwrap();
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
    let applied = resumed(&docker, &mut store, &entry, None).await.unwrap();
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
}

#[tokio::test]
async fn a_gate_that_is_left_by_a_stop_stays_in_the_journal_as_it_is() {
    let (_state, mut store, mut entry) = half_way(Step::Gate);
    let docker = connected(|line| {
        assert!(line.contains("GET"), "{line}");
        if line.contains("/events") {
            return (200, String::new());
        }
        assert!(line.contains("/def/"), "{line}");
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
            &Launcher::own(),
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
    let applied = resumed(&docker, &mut store, &entry, None).await.unwrap();
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
    resumed(&docker, &mut store, &entry, Some(&web))
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
        let applied = resumed(&docker, &mut store, &entry, None).await.unwrap();
        assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
        assert!(applied.message.contains(words), "{}", applied.message);
        let asked = asked.lock().unwrap();
        assert!(
            asked.iter().any(|line| line.contains("/abc/stop")),
            "{asked:?}"
        );
    }
}
