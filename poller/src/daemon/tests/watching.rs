//! What the relay is told of a version that does not stay well, and what that must not stand before.

use towline_protocol::{Report, StepTime};

use super::*;
use crate::{
    status::{Observed, Seen, Shown},
    store::{Cause, CauseKind, Past, Spooled, Unwell},
};

fn side(digit: char) -> Side {
    Side {
        sha: None,
        digest: Some(testing::digest(digit)),
    }
}

/// The end of a deploy of intent 1 that has brought the digest of 1s, with all that a report has.
fn brought(attempt: u32, outcome: Outcome) -> Report {
    let entry = entry();
    Report {
        to: side('1'),
        message: "it went like this".to_owned(),
        log_tail: "its last words".to_owned(),
        steps: vec![StepTime {
            step: "pull".to_owned(),
            ms: 7,
        }],
        ..report::blank(
            entry.intent,
            &entry.service,
            attempt,
            outcome,
            Timestamp::UNIX_EPOCH,
        )
    }
}

fn running(intent: &Intent, unwell: Option<Unwell>) -> Running {
    Running {
        side: side('1'),
        version: None,
        revision: None,
        placed: None,
        intent: Some(intent.id.clone()),
        since: Timestamp::UNIX_EPOCH,
        unwell,
    }
}

impl Host {
    /// One in which intent 1 has brought what runs.
    fn with(outcome: Outcome) -> Self {
        let mut host = Self::new();
        host.ends(&End {
            running: Some(running(&manual(1), None)),
            ..End::of(brought(1, outcome))
        });
        host
    }

    /// The relay takes everything that waits for it.
    fn delivers(&mut self) {
        let waiting = self.poller.store.spooled(99).unwrap();
        let ids: Vec<_> = waiting.iter().map(|one| one.id).collect();
        self.poller.store.acknowledge(&ids).unwrap();
    }

    /// What the containers are seen like; what waits for the relay then.
    fn sees(&mut self, health: &str) -> Vec<Report> {
        let shown = serde_json::json!({
            "state": "running", "health": health, "exit_code": null, "reference": null,
            "started_at": "2026-11-20T15:00:00Z", "digest": testing::digest('1'),
        });
        let observed: Observed = serde_json::from_value(shown).unwrap();
        self.poller.note_seen(Seen {
            engine: None,
            services: vec![Shown {
                observed: Some(observed),
                ..Shown::default()
            }],
        });
        let waiting = self.poller.store.spooled(99).unwrap();
        waiting.into_iter().map(Spooled::made).collect()
    }

    fn unwell(&self) -> Option<Unwell> {
        let running = self.poller.store.running(&entry().service).unwrap();
        running.unwrap().unwell
    }
}

#[tokio::test]
async fn a_report_that_has_not_been_sent_yet_keeps_its_log_and_its_steps() {
    let mut host = Host::with(Outcome::Succeeded);
    let told = host.sees("unhealthy");
    let before = brought(1, Outcome::Succeeded);
    let start = format!("{}; not well since ", before.message);
    assert!(told[0].message.starts_with(&start), "{}", told[0].message);
    let message = told[0].message.clone();
    assert_eq!(told, [Report { message, ..before }]);
}

#[tokio::test]
async fn a_report_that_was_sent_is_sent_again_with_its_steps() {
    let mut host = Host::with(Outcome::Succeeded);
    host.delivers();
    let told = host.sees("unhealthy");
    assert_eq!(told[0].steps, brought(1, Outcome::Succeeded).steps);
    assert_eq!(host.sees("unhealthy").len(), 1, "told once");
}

#[tokio::test]
async fn trouble_after_a_deploy_that_had_nothing_to_change_is_told_of_the_intent_in_effect() {
    let mut host = Host::with(Outcome::Unchanged);
    host.delivers();
    let told = host.sees("unhealthy");
    assert_eq!(told[0].outcome, Some(Outcome::Unchanged));
    assert!(told[0].message.contains("; not well since "));
}

#[tokio::test]
async fn trouble_after_a_rollback_is_told_under_the_try_that_the_relay_has_heard_of_last() {
    let mut host = Host::with(Outcome::Succeeded);
    let own = Report {
        intent: manual(2).id,
        ..brought(1, Outcome::Succeeded)
    };
    let cause = Cause {
        kind: CauseKind::Rollback,
        ..Cause::default()
    };
    host.ends(&End {
        also: Some(crate::daemon::roll_back::in_effect(&own, manual(1).id, 2)),
        past: Some(Past { report: own, cause }),
        running: Some(running(&manual(1), None)),
        ..End::default()
    });
    host.delivers();
    let told = host.sees("unhealthy");
    assert_eq!((&told[0].intent, told[0].attempt), (&manual(1).id, 2));
    let start = "in effect again (towline rollback): it went like this; not well since ";
    assert!(told[0].message.starts_with(start), "{}", told[0].message);
}

#[tokio::test]
async fn what_the_relay_knows_of_a_later_try_that_failed_is_left_to_it() {
    let mut host = Host::with(Outcome::Succeeded);
    host.ends(&End::of(brought(2, Outcome::RolledBack)));
    host.delivers();
    assert_eq!(host.sees("unhealthy"), []);
    assert!(host.unwell().is_some(), "the log has told it");
}

#[tokio::test]
async fn a_process_that_begins_anew_takes_back_what_an_earlier_one_has_told() {
    let mut host = Host::with(Outcome::Succeeded);
    host.delivers();
    let told = host.sees("unhealthy");
    let since = host.unwell().unwrap().since;
    host.delivers();
    host.poller.watch = crate::status::Watch::default();
    assert_eq!(host.sees("unhealthy"), [], "told once");
    assert_eq!(host.unwell().unwrap().since, since);
    let again = host.sees("healthy");
    assert!(again[0].message.contains("; not well from "), "{again:?}");
    assert_eq!(host.unwell(), None);
    assert_eq!(again[0].attempt, told[0].attempt);
}

#[tokio::test]
async fn what_could_not_be_kept_is_told_after_the_next_look() {
    let mut host = Host::with(Outcome::Succeeded);
    host.delivers();
    host.poller.store.tamper(&fill_disk("spool"));
    assert_eq!(host.sees("unhealthy"), []);
    assert_eq!(host.unwell(), None);
    host.poller.store.tamper("DROP TRIGGER full");
    assert_eq!(host.sees("unhealthy").len(), 1);
}

#[tokio::test]
async fn what_runs_on_unchanged_is_as_unwell_as_before_and_what_is_new_is_not() {
    let trouble = Some(Unwell {
        what: "unhealthy".to_owned(),
        since: Timestamp::UNIX_EPOCH,
    });
    for (outcome, after) in [
        (Outcome::Unchanged, trouble.clone()),
        (Outcome::Succeeded, None),
    ] {
        let mut host = Host::new();
        host.ends(&End {
            running: Some(running(&manual(1), trouble.clone())),
            ..End::default()
        });
        let applied = moved(outcome, side('1'), side('1'));
        let now = Timestamp::now();
        host.poller.end(&entry(), None, None, now, applied).unwrap();
        assert_eq!(host.unwell(), after);
    }
}

#[tokio::test]
async fn a_damaged_row_that_only_shows_things_does_not_end_what_serves() {
    let mut host = Host::with(Outcome::Succeeded);
    let damage = "UPDATE running SET row = x'00'";
    host.poller.store.tamper(damage);
    assert!(host.poller.watch().is_none());
    host.delivers();
    assert_eq!(host.sees("unhealthy"), []);
    let dir = tempfile::tempdir().unwrap();
    let Host { poller, stop, _dir } = host;
    let run = poller.run(Duration::from_secs(30), stop, dir.path());
    let ended = tokio::time::timeout(Duration::from_secs(1), run).await;
    assert!(ended.is_err(), "it goes on serving: {ended:?}");
}
