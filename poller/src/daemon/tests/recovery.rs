//! Deploys that were interrupted, and what becomes of the rest meanwhile.

use serde_json::json;

use super::*;
use crate::docker::fake::{engine, updated_engine};

/// A deploy of `web` that was interrupted when it had moved the local tag.
fn interrupted() -> JournalEntry {
    JournalEntry {
        body: testing::deploy().to_journal().unwrap(),
        ..entry()
    }
}

#[tokio::test]
async fn what_was_taken_to_its_end_on_a_full_disk_is_not_done_again_to_be_recorded() {
    let (address, asked) = engine(|_| (404, json!({ "message": "No such container" }).to_string()));
    let mut host = Host::with_engine(Some(address));
    host.receive(&[manual(1)]);
    host.poller.store.write_journal(&interrupted()).unwrap();
    host.poller.store.tamper(&fill_disk("journal"));
    host.poller
        .store
        .tamper(&fill_disk("spool").replace("full", "fuller"));
    let error = host.poller.recover(&host.stop).await.unwrap_err();
    assert!(error.to_string().contains("disk is full"), "{error}");
    let calls = asked.lock().unwrap().len();
    assert!(calls > 0, "it was taken to its end all the same");
    host.poller.recover(&host.stop).await.unwrap_err();
    host.poller
        .store
        .tamper("DROP TRIGGER full; DROP TRIGGER fuller");
    assert!(host.poller.recover(&host.stop).await.unwrap().is_empty());
    assert_eq!(
        asked.lock().unwrap().len(),
        calls,
        "the engine is left alone"
    );
    assert_eq!(host.standing().outcome, Outcome::FailedUntouched);
    assert_eq!(host.poller.store.open_journals().unwrap(), []);
    assert!(host.poller.unclosed.is_empty());
}

#[tokio::test]
async fn a_journal_that_stays_open_keeps_only_its_own_service_waiting() {
    let (address, asked) = updated_engine(vec!["", "1.41"], |_| {
        (404, json!({ "message": "No such container" }).to_string())
    });
    let mut host = Host::with_engine(Some(address));
    host.receive(&[manual(1)]);
    let other = JournalEntry {
        service: "db".parse().unwrap(),
        ..interrupted()
    };
    host.poller.store.write_journal(&other).unwrap();
    host.work().await.unwrap();
    assert_eq!(host.poller.store.open_journals().unwrap(), [other]);
    assert_eq!(
        host.standing().outcome,
        Outcome::Refused,
        "it was looked at"
    );
    assert!(
        host.pause().is_some_and(|pause| !pause.is_zero()),
        "and again soon"
    );
    host.poller.todo = Todo::default();
    host.work().await.unwrap();
    assert_eq!(host.poller.store.open_journals().unwrap(), []);
    assert!(!asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_deploy_that_is_taken_to_its_end_has_lasted_since_it_was_begun() {
    let (address, _) = engine(|_| (404, json!({ "message": "No such container" }).to_string()));
    let mut host = Host::with_engine(Some(address));
    host.receive(&[manual(1)]);
    let mut begun = Moment::now();
    begun.at -= jiff::SignedDuration::from_secs(90);
    let entry = JournalEntry {
        begun: Some(begun.clone()),
        ..interrupted()
    };
    host.poller.store.write_journal(&entry).unwrap();
    assert!(host.poller.recover(&host.stop).await.unwrap().is_empty());
    let past = host.poller.store.history(None, 9).unwrap();
    assert_eq!(past[0].report.started_at, begun.at);
    let ms = crate::history::Entry::of(past[0].clone()).unwrap().ms;
    assert!((90_000..600_000).contains(&ms), "{ms}");
}

#[tokio::test]
async fn an_interrupted_deploy_without_its_engine_is_told_once_as_waiting() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    let other = JournalEntry {
        service: "db".parse().unwrap(),
        ..interrupted()
    };
    host.poller.store.write_journal(&other).unwrap();
    for _ in 0..2 {
        let left = host.poller.recover(&host.stop).await.unwrap();
        assert_eq!(left, [other.service.clone()].into());
    }
    let spooled = host.poller.store.spooled(9).unwrap();
    assert_eq!(spooled.len(), 1);
    let waits = &spooled[0].report;
    assert_eq!(
        (&waits.service, waits.outcome, waits.attempt),
        (&Some(other.service.clone()), Some(Outcome::Waiting), 1)
    );
    let told = "db: a deploy was interrupted and cannot be taken to its end yet: ";
    assert!(waits.message.starts_with(told), "{}", waits.message);
    assert!(
        waits.message.contains("does not answer"),
        "{}",
        waits.message
    );
    host.poller.store.acknowledge(&[spooled[0].id]).unwrap();
    host.poller.recover(&host.stop).await.unwrap();
    assert_eq!(host.poller.store.spooled(9).unwrap(), [], "it was told");
}
