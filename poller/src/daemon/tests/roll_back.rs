//! The ends of rollbacks on purpose, and what stands in the way of one.

use super::*;
use crate::store::{CauseKind, OnPurpose};

/// The journal of a rollback on purpose from the version that intent 1 had brought.
fn on_purpose(is_reported: bool) -> JournalEntry {
    JournalEntry {
        attempt: 2,
        on_purpose: Some(OnPurpose {
            channel: "octo-org/web".parse().unwrap(),
            known: Mark { epoch: 7, seq: 3 },
            brought: Some(manual(9).id),
            is_reported,
            left: Some(testing::digest('2').into()),
        }),
        ..entry()
    }
}

/// A host whose rollback on purpose, from the digest of 2s to that of 1s, ended like this.
fn taken_back(outcome: Outcome, is_reported: bool) -> Host {
    let mut host = Host::new();
    let side = |digit| Side {
        sha: None,
        digest: Some(testing::digest(digit)),
    };
    let applied = moved(outcome, side('2'), side('1'));
    let entry = on_purpose(is_reported);
    host.poller.store.write_journal(&entry).unwrap();
    let now = jiff::Timestamp::now();
    host.poller.end(&entry, None, None, now, applied).unwrap();
    assert_eq!(host.poller.store.open_journals().unwrap(), []);
    host
}

#[tokio::test]
async fn a_rollback_on_purpose_that_waits_for_its_engine_is_told_to_nobody_before_its_end() {
    let mut host = Host::new();
    let entry = JournalEntry {
        body: testing::deploy().to_journal().unwrap(),
        ..on_purpose(true)
    };
    host.poller.store.write_journal(&entry).unwrap();
    let left = host.poller.recover(&host.stop).await.unwrap();
    assert_eq!(left, [entry.service].into());
    assert_eq!(host.poller.store.spooled(9).unwrap(), []);
}

#[tokio::test]
async fn a_rollback_on_purpose_is_reported_as_rolled_back_and_the_service_is_held() {
    let host = taken_back(Outcome::Succeeded, true);
    let (store, web) = (&host.poller.store, "web".parse().unwrap());
    let told = &store.spooled(9).unwrap()[0].report;
    assert_eq!((told.outcome, told.attempt), (Some(Outcome::RolledBack), 2));
    assert_eq!(told.intent, manual(1).id);
    assert_eq!(told.from.digest, Some(testing::digest('1')), "what runs");
    assert_eq!(told.to.digest, Some(testing::digest('2')), "what was left");
    assert!(told.message.contains("on purpose"), "{}", told.message);
    let past = &store.history(Some(&web), 9).unwrap()[0];
    assert_eq!(past.report.outcome, Some(Outcome::Succeeded));
    assert_eq!(past.cause.kind, CauseKind::Rollback);
    let left = &store.quarantine(&web).unwrap()[0];
    assert_eq!(
        (&left.version, left.on_purpose),
        (&testing::digest('2').into(), true)
    );
    assert_eq!(
        store.hold(&web).unwrap().unwrap().place,
        Mark { epoch: 7, seq: 3 }
    );
    let running = store.running(&web).unwrap().unwrap();
    assert_eq!(
        (running.side.digest, running.intent),
        (Some(testing::digest('1')), Some(manual(9).id))
    );
    let unreported = taken_back(Outcome::Succeeded, false);
    assert_eq!(unreported.poller.store.spooled(9).unwrap(), []);
    assert!(unreported.poller.store.hold(&web).unwrap().is_some());
}

#[tokio::test]
async fn a_rollback_on_purpose_that_did_not_come_about_changes_nothing_but_the_history() {
    for outcome in [Outcome::RolledBack, Outcome::FailedUntouched] {
        let host = taken_back(outcome, true);
        let (store, web) = (&host.poller.store, "web".parse().unwrap());
        assert_eq!(store.spooled(9).unwrap(), []);
        assert_eq!(
            store.history(Some(&web), 9).unwrap()[0].report.outcome,
            Some(outcome)
        );
        assert_eq!(
            (store.hold(&web).unwrap(), store.running(&web).unwrap()),
            (None, None)
        );
        assert_eq!(store.quarantine(&web).unwrap(), []);
        assert_eq!(host.poller.outcomes, [outcome]);
    }
}

#[tokio::test]
async fn a_rollback_on_purpose_that_got_stuck_blocks_the_service_and_is_told() {
    let mut host = taken_back(Outcome::NeedsOperator, false);
    let web = "web".parse().unwrap();
    let told = host.poller.store.spooled(9).unwrap();
    assert_eq!(told[0].report.outcome, Some(Outcome::NeedsOperator));
    let declined = host
        .poller
        .roll_back(&web, None, &host.stop)
        .await
        .unwrap_err();
    assert!(matches!(declined, Declined::Blocked { .. }), "{declined}");
    assert!(
        declined.to_string().contains("towline resolve web"),
        "{declined}"
    );
}

#[tokio::test]
async fn a_held_service_is_free_again_after_a_newer_intent() {
    let mut host = taken_back(Outcome::Succeeded, true);
    let web = "web".parse().unwrap();
    let newer = JournalEntry {
        intent: manual(4).id,
        ..entry()
    };
    let now = jiff::Timestamp::now();
    host.poller
        .end(&newer, None, None, now, applied(Outcome::FailedUntouched))
        .unwrap();
    assert_eq!(host.poller.store.hold(&web).unwrap(), None);
}

#[tokio::test]
async fn what_was_known_at_a_rollback_on_purpose_is_not_applied_any_more() {
    let mut host = taken_back(Outcome::Succeeded, true);
    host.receive(&[manual(2), manual(3)]);
    host.work().await.unwrap();
    let spooled = host.poller.store.spooled(9).unwrap();
    let outcomes: Vec<_> = spooled.iter().map(|one| one.report.outcome).collect();
    let superseded = Some(Outcome::Superseded);
    assert_eq!(
        outcomes,
        [Some(Outcome::RolledBack), superseded, superseded]
    );
}

#[tokio::test]
async fn going_back_needs_a_service_of_the_file_and_the_engine() {
    let mut host = Host::new();
    let none = host
        .poller
        .roll_back(&"other".parse().unwrap(), None, &host.stop)
        .await
        .unwrap_err();
    assert_eq!(
        none.to_string(),
        "there is no [service.other] in the host's file; it has: web (after a change of it, restart towline run)"
    );
    let web = "web".parse().unwrap();
    let declined = host
        .poller
        .roll_back(&web, None, &host.stop)
        .await
        .unwrap_err();
    assert!(
        declined.to_string().contains("no-engine.sock"),
        "{declined}"
    );
    host.poller.store.write_journal(&entry()).unwrap();
    let declined = host
        .poller
        .roll_back(&web, None, &host.stop)
        .await
        .unwrap_err();
    assert!(matches!(declined, Declined::Unfinished), "{declined}");
}

#[tokio::test]
async fn the_intent_whose_version_is_gone_back_to_is_in_effect_again() {
    let mut host = Host::new();
    host.receive(&[manual(1), manual(9)]);
    let to = Side {
        sha: None,
        digest: Some(testing::digest('1')),
    };
    let applied = moved(Outcome::Succeeded, Side::default(), to);
    let now = jiff::Timestamp::now();
    for (is_reported, last) in [(true, 1), (true, 2), (false, 3)] {
        let entry = on_purpose(is_reported);
        host.poller
            .end(&entry, None, None, now, applied.clone())
            .unwrap();
        let spooled = host.poller.store.spooled(9).unwrap();
        let again = &spooled.last().unwrap().report;
        assert_eq!(again.intent, manual(9).id);
        assert_eq!(
            (again.outcome, again.attempt),
            (Some(Outcome::Succeeded), last)
        );
        assert_eq!(again.to.digest, Some(testing::digest('1')));
    }
}

#[tokio::test]
async fn a_retry_takes_back_a_hold_that_has_superseded_what_was_waiting() {
    let mut host = Host::new();
    let web = entry().service;
    host.receive(&[manual(1), manual(3)]);
    host.work().await.unwrap();
    let now = jiff::Timestamp::now();
    let waiting = JournalEntry {
        intent: manual(3).id,
        ..entry()
    };
    let service = host.poller.settings.services[0].clone();
    host.poller
        .end(
            &waiting,
            Some(&service),
            None,
            now,
            applied(Outcome::Waiting),
        )
        .unwrap();
    host.poller
        .end(
            &on_purpose(true),
            None,
            None,
            now,
            applied(Outcome::Succeeded),
        )
        .unwrap();
    host.poller.todo.note_news();
    host.work().await.unwrap();
    let standing = |host: &Host| host.poller.store.standings(&web).unwrap()[&manual(3).id].clone();
    assert_eq!(standing(&host).outcome, Outcome::Superseded);
    let stop = host.stop.clone();
    host.poller.retry(&web, &stop).await.unwrap();
    assert!(standing(&host).again);
    assert_eq!(host.poller.store.hold(&web).unwrap(), None);
}
