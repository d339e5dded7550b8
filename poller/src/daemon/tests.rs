//! The loop's parts with a real store, without an engine and without a relay.

use tempfile::TempDir;
use towline_protocol::{ChannelNews, Intent, Mark, Side, Source};

use super::*;
use crate::{
    apply::Applied,
    docker::RegistryTrouble,
    machine::Fault,
    relay_client::{Answer, News},
    report,
    store::{End, JournalEntry, Running, Standing},
    testing,
    uptime::{Uptime, Waited},
};

/// A poller of the service `web` whose engine is not there.
struct Host {
    poller: Poller,
    stop: Stop,
    _dir: TempDir,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let nowhere = format!("unix://{}", dir.path().join("no-engine.sock").display());
        let token = Secret::new("tl1.e30.AAAA");
        let name = "pi".parse().unwrap();
        let settings = testing::settings("");
        let poller = Poller::new(settings, name, &token, store, Some(nowhere)).unwrap();
        let stop = Stop::on_signals().unwrap();
        Self {
            poller,
            stop,
            _dir: dir,
        }
    }

    fn receive(&mut self, intents: &[Intent]) {
        let channel = "octo-org/web".parse().unwrap();
        let newest = intents.last().unwrap().seq;
        let mark = Mark {
            epoch: 7,
            seq: newest,
        };
        self.poller.store.receive(&channel, mark, intents).unwrap();
        self.poller.todo.note_news();
    }

    async fn work(&mut self) -> Result<(), StoreError> {
        self.poller.work(&self.stop).await
    }

    /// How long until the service is to be looked at again.
    fn pause(&self) -> Option<Duration> {
        let services = self.poller.settings.services.iter();
        let names = services.map(|service| &service.name);
        self.poller.todo.pause(names, Instant::now())
    }
}

fn manual(seq: u64) -> Intent {
    Intent {
        source: Source::Manual {
            by: "olga".to_owned(),
            reason: String::new(),
        },
        ..testing::intent(7, seq)
    }
}

fn entry() -> JournalEntry {
    JournalEntry {
        deploy: "0a0a0a0a".to_owned(),
        service: "web".parse().unwrap(),
        intent: manual(1).id,
        attempt: 1,
        body: "{}".to_owned(),
        on_purpose: None,
    }
}

fn applied(outcome: Outcome) -> Applied {
    Applied {
        outcome,
        gate: None,
        from: Side::default(),
        to: Side::default(),
        message: String::new(),
        log_tail: String::new(),
        steps: Vec::new(),
        fault: Fault::Host,
        after_wait: Outcome::FailedUntouched,
        trouble: None,
    }
}

/// Makes writes to `table` fail, as a full disk does.
fn fill_disk(table: &str) -> String {
    format!(
        "CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'disk is full'); END"
    )
}

#[tokio::test]
async fn a_service_keeps_its_turn_when_the_disk_is_full() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.poller.store.tamper(&fill_disk("seen"));
    let error = host.work().await.unwrap_err();
    assert!(error.to_string().contains("disk is full"), "{error}");
    let pause = host.pause().unwrap();
    assert!(pause <= LOCAL_RETRY && pause > LOCAL_RETRY / 2, "{pause:?}");
}

#[tokio::test]
async fn a_journal_that_could_not_be_closed_is_taken_to_its_end_before_anything_else() {
    let mut host = Host::new();
    host.poller.store.write_journal(&entry()).unwrap();
    host.poller.store.tamper(&fill_disk("spool"));
    let now = jiff::Timestamp::now();
    host.poller
        .end(&entry(), None, None, now, applied(Outcome::Succeeded))
        .unwrap_err();
    host.poller.store.tamper("DROP TRIGGER full");
    host.receive(&[manual(2)]);
    host.work().await.unwrap();
    assert_eq!(host.poller.store.open_journals().unwrap(), [entry()]);
    let seen = host.poller.store.seen(&entry().service).unwrap();
    assert_eq!(seen, None, "nothing was chosen meanwhile");
    assert!(host.pause().is_some_and(|pause| !pause.is_zero()));
}

/// An answer to the usual question, with a tag.
fn answer(epoch: u64, intents: &[Intent]) -> Answer {
    let news = ChannelNews {
        epoch,
        head: intents.last().map_or(0, |intent| intent.seq),
        pruned_before: 0,
        intents: intents.to_vec(),
    };
    let channel = "octo-org/web".parse().unwrap();
    let unreadable = std::collections::BTreeSet::new();
    Answer {
        channels: [(channel, News { news, unreadable })].into(),
        complaints: Vec::new(),
        tag: Some(Tag::of("question", "v1")),
    }
}

#[tokio::test]
async fn the_tag_of_an_answer_counts_only_when_the_answer_is_on_disk() {
    let mut host = Host::new();
    host.poller.store.tamper(&fill_disk("mark"));
    let news = answer(7, &[manual(1)]);
    host.poller.take_in(news.clone(), false).unwrap_err();
    assert_eq!(host.poller.tag, None);
    host.poller.store.tamper("DROP TRIGGER full");
    host.poller.take_in(news.clone(), false).unwrap();
    assert_eq!(host.poller.tag, news.tag);
}

#[tokio::test]
async fn a_hub_from_the_far_future_freezes_nothing() {
    let mut host = Host::new();
    let far = answer(u64::MAX, &[testing::intent(u64::MAX, 1)]);
    host.poller.take_in(far, false).unwrap();
    assert_eq!(host.poller.tag, None, "the relay is to tell it again");
    host.poller.take_in(answer(7, &[manual(1)]), false).unwrap();
    let channel = "octo-org/web".parse().unwrap();
    let mark = host.poller.store.mark(&channel).unwrap();
    assert_eq!(mark, Some(Mark { epoch: 7, seq: 1 }));
}

#[tokio::test]
async fn every_intent_of_a_blocked_service_is_judged_once_and_the_newest_waits_for_the_operator() {
    let mut host = Host::new();
    let blocked = report::blank(
        manual(1).id,
        &entry().service,
        1,
        Outcome::NeedsOperator,
        jiff::Timestamp::UNIX_EPOCH,
    );
    host.poller
        .store
        .close_journal("0", &entry().service, &End::of(blocked))
        .unwrap();
    host.receive(&(1..=100).map(manual).collect::<Vec<_>>());
    host.work().await.unwrap();
    host.receive(&(101..=300).map(manual).collect::<Vec<_>>());
    host.work().await.unwrap();
    let spooled = host.poller.store.spooled(1000).unwrap();
    let mut judged: Vec<_> = spooled
        .iter()
        .map(|one| one.report.intent.clone())
        .collect();
    judged.sort();
    let mut all: Vec<_> = (1..300).map(|seq| manual(seq).id).collect();
    all.sort();
    assert_eq!(judged, all);
    let channel = "octo-org/web".parse().unwrap();
    let kept = host.poller.store.intents(&channel).unwrap();
    assert_eq!((kept.len(), kept.last()), (64, Some(&manual(300))));
    let worst = |outcomes: &[Outcome]| outcomes.contains(&Outcome::NeedsOperator);
    assert!(worst(&host.poller.outcomes));
}

#[tokio::test]
async fn what_a_service_could_not_judge_yet_is_not_forgotten() {
    let mut host = Host::new();
    host.receive(&(1..=100).map(manual).collect::<Vec<_>>());
    let later = Instant::now() + LOCAL_RETRY;
    host.poller.todo.hold(later);
    host.work().await.unwrap();
    let channel = "octo-org/web".parse().unwrap();
    assert_eq!(host.poller.store.intents(&channel).unwrap().len(), 100);
}

#[tokio::test]
async fn a_hub_without_an_end_is_left_alone_after_some_answers() {
    let mut host = Host::new();
    let endless = |seq| {
        let mut endless = answer(7, &[manual(seq)]);
        for news in endless.channels.values_mut() {
            news.news.head = 1 << 60;
        }
        endless
    };
    for first in [1, 10, 19] {
        host.poller.gaps.clear();
        host.poller.take_in(endless(first), false).unwrap();
        let mut asked = 0;
        while !host.poller.gaps().unwrap().is_empty() {
            asked += 1;
            assert!(asked < 50, "it is asked for ever");
            host.poller.take_in(endless(first + asked), true).unwrap();
        }
        assert_eq!(asked, 8);
    }
}

/// How `web` stands after its image has been waited for, by which clock.
fn waiting(since: jiff::Timestamp, ms: u64) -> Standing {
    let at = Uptime::now();
    Standing {
        attempt: 1,
        outcome: Outcome::Waiting,
        since,
        waited: Waited { ms, at },
        again: false,
        interruptions: 0,
        why: String::new(),
    }
}

impl Host {
    /// Ends a try that found no image.
    fn wait(&mut self, standing: Option<&Standing>) {
        let service = self.poller.settings.services[0].clone();
        let since = standing.map_or_else(jiff::Timestamp::now, |standing| standing.since);
        let waiting = applied(Outcome::Waiting);
        self.poller
            .end(&entry(), Some(&service), standing, since, waiting)
            .unwrap();
    }

    fn standing(&self) -> Standing {
        let standings = self.poller.store.standings(&entry().service).unwrap();
        standings[&entry().intent].clone()
    }
}

#[tokio::test]
async fn a_wall_clock_that_jumps_does_not_end_the_wait_for_an_image() {
    let mut host = Host::new();
    host.wait(None);
    assert!(host.standing().waited.at.is_some(), "it counts from now on");
    let long_ago = waiting(jiff::Timestamp::UNIX_EPOCH, 1000);
    host.wait(Some(&long_ago));
    let standing = host.standing();
    assert_eq!(standing.outcome, Outcome::Waiting);
    assert!((1000..60_000).contains(&standing.waited.ms));
    assert_eq!(host.poller.outcomes, [Outcome::Waiting; 2]);
    host.wait(Some(&waiting(jiff::Timestamp::now(), 5 * 60 * 1000)));
    assert_eq!(host.standing().outcome, Outcome::FailedUntouched);
}

#[tokio::test]
async fn the_hosts_own_token_stands_in_no_report() {
    let mut host = Host::new();
    let leaky = Applied {
        message: "web: it answered tl1.e30.AAAA".to_owned(),
        log_tail: "Bearer tl1.e30.AAAA".to_owned(),
        ..applied(Outcome::RolledBack)
    };
    let now = jiff::Timestamp::now();
    host.poller.end(&entry(), None, None, now, leaky).unwrap();
    let spooled = host.poller.store.spooled(9).unwrap();
    let report = &spooled.last().unwrap().report;
    assert_eq!(report.message, "web: it answered ***");
    assert_eq!(report.log_tail, "Bearer ***");
}

#[tokio::test]
async fn a_registry_that_wants_fewer_requests_is_asked_less_often_and_one_that_answers_is_not() {
    let mut host = Host::new();
    let mut pauses = Vec::new();
    for trouble in [
        Some(RegistryTrouble::RateLimited),
        Some(RegistryTrouble::Unreachable),
        Some(RegistryTrouble::Broken),
        Some(RegistryTrouble::Absent),
        Some(RegistryTrouble::Broken),
    ] {
        host.work().await.unwrap();
        let tried = Applied {
            trouble,
            ..applied(Outcome::Waiting)
        };
        let service = host.poller.settings.services[0].clone();
        let now = jiff::Timestamp::now();
        host.poller
            .end(&entry(), Some(&service), None, now, tried)
            .unwrap();
        pauses.push(host.pause().unwrap().as_secs_f64().round() as u64);
    }
    let ranges = [10..=20, 20..=40, 40..=80, 10..=10, 10..=20];
    let fits = ranges
        .iter()
        .zip(&pauses)
        .all(|(range, pause)| range.contains(pause));
    assert!(fits, "{pauses:?}");
}

#[tokio::test]
async fn a_long_rest_does_not_outlast_the_wait_for_the_image() {
    let mut host = Host::new();
    host.work().await.unwrap();
    let service = host.poller.settings.services[0].clone();
    let nearly_over = waiting(
        jiff::Timestamp::now(),
        service.image_wait.as_millis() as u64 - 5000,
    );
    let tried = Applied {
        trouble: Some(RegistryTrouble::RateLimited),
        ..applied(Outcome::Waiting)
    };
    let (since, standing) = (nearly_over.since, Some(&nearly_over));
    host.poller
        .end(&entry(), Some(&service), standing, since, tried)
        .unwrap();
    assert!(host.pause().unwrap() <= Duration::from_secs(5));
}

#[tokio::test]
async fn the_commit_that_ran_before_is_not_guessed_without_a_digest() {
    let mut host = Host::new();
    let side = Side {
        sha: Some(testing::SHA.parse().unwrap()),
        digest: None,
    };
    let done = report::blank(
        manual(1).id,
        &entry().service,
        1,
        Outcome::Succeeded,
        jiff::Timestamp::now(),
    );
    let running = Running {
        side,
        intent: Some(manual(1).id),
        since: jiff::Timestamp::now(),
    };
    let store = &mut host.poller.store;
    let end = End {
        running: Some(running),
        ..End::of(done)
    };
    store.close_journal("0", &entry().service, &end).unwrap();
    let other = JournalEntry {
        intent: manual(2).id,
        ..entry()
    };
    let now = jiff::Timestamp::now();
    let ended = applied(Outcome::RolledBack);
    host.poller.end(&other, None, None, now, ended).unwrap();
    let spooled = host.poller.store.spooled(9).unwrap();
    assert_eq!(spooled.last().unwrap().report.from.sha, None);
}

/// What a try of intent 1 that ended in this way says of the digest of ones.
fn failed(fault: Fault, outcome: Outcome) -> Applied {
    Applied {
        fault,
        to: Side {
            sha: None,
            digest: Some(testing::digest('1')),
        },
        ..applied(outcome)
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
    assert!(matches!(host.retry("api").await, Err(Declined::Unknown(_))));
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
    assert_eq!(host.held(), 0);
    assert!(host.standing().again, "the engine is missed, and it stays");
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

mod roll_back;
