//! What is tried again by itself or on purpose, and what is kept in quarantine.

use super::*;
use crate::control::{
    board::{Errand, Order},
    message::Line,
};

/// What a try of intent 1 that ended in this way says of the digest of ones.
fn failed(fault: Fault, outcome: Outcome) -> Applied {
    let to = Side {
        sha: None,
        digest: Some(testing::digest('1')),
    };
    Applied {
        fault,
        ..moved(outcome, Side::default(), to)
    }
}

impl Host {
    /// Ends the next try of intent 1, as an interrupted one when `fault` says so.
    fn end(&mut self, fault: Fault, outcome: Outcome) -> Standing {
        let web = entry().service;
        let before = self.poller.store.standings(&web).unwrap();
        let before = before.get(&entry().intent);
        let entry = JournalEntry {
            attempt: before.map_or(1, |before| before.attempt + 1),
            ..entry()
        };
        let now = jiff::Timestamp::now();
        self.poller
            .end(&entry, None, before, now, failed(fault, outcome))
            .unwrap();
        self.standing()
    }

    fn held(&self) -> usize {
        self.poller
            .store
            .quarantine(&entry().service)
            .unwrap()
            .len()
    }
}

#[tokio::test]
async fn only_a_versions_own_fault_puts_it_in_quarantine_and_a_success_takes_it_out() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.end(Fault::Host, Outcome::RolledBack);
    host.end(Fault::Interruption, Outcome::RolledBack);
    assert_eq!(host.held(), 0);
    let standing = host.end(Fault::Version, Outcome::RolledBack);
    assert_eq!((host.held(), standing.again), (1, false));
    let proved = Applied {
        gate: Some(towline_protocol::Gate::Healthy),
        ..failed(Fault::Host, Outcome::Succeeded)
    };
    let now = jiff::Timestamp::now();
    host.poller.end(&entry(), None, None, now, proved).unwrap();
    assert_eq!(host.held(), 0);
}

#[tokio::test]
async fn what_nothing_but_interruptions_ended_is_tried_three_times() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    let mut tries = vec![];
    for _ in 0..4 {
        host.poller.todo.take(&entry().service, Instant::now());
        let standing = host.end(Fault::Interruption, Outcome::RolledBack);
        let is_due = host.pause() == Some(Duration::ZERO);
        assert_eq!(standing.again, is_due);
        tries.push((standing.attempt, standing.again));
    }
    assert_eq!(tries, [(1, true), (2, true), (3, false), (4, false)]);
    assert_eq!(
        host.poller.outcomes,
        [Outcome::RolledBack; 2],
        "what is tried again does not count"
    );
    let spooled = host.poller.store.spooled(9).unwrap();
    let messages: Vec<_> = spooled
        .iter()
        .map(|one| one.report.message.contains("tried again"))
        .collect();
    assert_eq!(messages, [true, true, false, false]);
}

#[tokio::test]
async fn an_interrupted_deploy_that_needs_an_operator_is_not_tried_again() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    let standing = host.end(Fault::Interruption, Outcome::NeedsOperator);
    assert!(!standing.again);
}

impl Host {
    async fn retry(&mut self, service: &str) -> Result<(), Declined> {
        self.poller
            .retry(&service.parse().unwrap(), &self.stop)
            .await
    }
}

#[tokio::test]
async fn a_retry_is_declined_when_there_is_nothing_to_try_again() {
    let mut host = Host::new();
    assert!(matches!(
        host.retry("api").await,
        Err(Declined::Unknown { .. })
    ));
    assert!(matches!(host.retry("web").await, Err(Declined::Nothing(_))));
    host.receive(&[manual(1)]);
    host.work().await.unwrap();
    host.end(Fault::Host, Outcome::Unchanged);
    let declined = host.retry("web").await.unwrap_err();
    assert!(declined.to_string().contains("unchanged"), "{declined}");
}

#[tokio::test]
async fn a_retry_is_declined_before_an_operator_has_seen_to_the_service() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.work().await.unwrap();
    host.end(Fault::Version, Outcome::NeedsOperator);
    let declined = host.retry("web").await.unwrap_err();
    assert!(
        declined.to_string().contains("`towline resolve web`"),
        "{declined}"
    );
    assert_eq!(host.held(), 1, "nothing was done");
    host.poller.store.resolve(&entry().service).unwrap();
    host.retry("web").await.unwrap();
    let standing = host.standing();
    assert!(
        standing.again && standing.asked,
        "the engine is missed, and it stays"
    );
}

#[tokio::test]
async fn a_retry_is_declined_when_the_hosts_file_no_longer_lets_the_intent_in() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.work().await.unwrap();
    host.end(Fault::Version, Outcome::RolledBack);
    host.poller.settings = testing::settings("manual = false");
    let declined = host.retry("web").await.unwrap_err();
    assert!(matches!(declined, Declined::TooLate { .. }), "{declined}");
    assert_eq!(host.held(), 1, "nothing was done");
}

#[tokio::test]
async fn an_open_journal_comes_before_a_retry() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.work().await.unwrap();
    host.end(Fault::Version, Outcome::RolledBack);
    host.poller.store.write_journal(&entry()).unwrap();
    let declined = host.retry("web").await.unwrap_err();
    assert!(matches!(declined, Declined::Unfinished), "{declined}");
    assert_eq!(host.held(), 1, "nothing was done");
}

#[tokio::test]
async fn a_resolve_is_for_what_its_operator_has_seen_and_not_for_what_came_after_it_was_asked() {
    let mut host = Host::new();
    host.end(Fault::Version, Outcome::NeedsOperator);
    let web = entry().service;
    for (since, is_resolved) in [(None, false), (Some(entry().intent), true)] {
        let (answer, mut lines) = tokio::sync::mpsc::unbounded_channel();
        let order = Order {
            service: web.clone(),
            errand: Errand::Resolve { since },
            answer,
        };
        let stop = host.stop.clone();
        host.poller.obey(order, &stop).await.unwrap();
        let line = lines.recv().await.unwrap();
        assert_eq!(matches!(line, Line::Done(_)), is_resolved, "{line:?}");
        assert_eq!(
            host.poller.store.blocked(&web).unwrap().is_none(),
            is_resolved
        );
    }
}
