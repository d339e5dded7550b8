//! Which intents get which end, also when the disk is full or a journal is open.

use super::*;

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
    let (ended, waits): (Vec<_>, Vec<_>) = spooled
        .iter()
        .partition(|one| one.report.outcome.is_some_and(Outcome::is_terminal));
    assert_eq!(waits.len(), 1);
    let waits = &waits[0].report;
    assert_eq!(
        (&waits.intent, waits.outcome),
        (&manual(300).id, Some(Outcome::Waiting))
    );
    assert!(waits.message.contains("an operator is needed"), "{waits:?}");
    let mut judged: Vec<_> = ended.iter().map(|one| one.report.intent.clone()).collect();
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
    let web = host.poller.settings.services[0].name.clone();
    host.poller.todo.hold([web].into(), later);
    host.work().await.unwrap();
    let channel = "octo-org/web".parse().unwrap();
    assert_eq!(host.poller.store.intents(&channel).unwrap().len(), 100);
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
        version: None,
        revision: None,
        placed: None,
        intent: Some(manual(1).id),
        since: jiff::Timestamp::now(),
        unwell: None,
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

#[tokio::test]
async fn a_damaged_history_keeps_nobody_from_seeing_the_rest_and_nothing_from_going_on() {
    let mut host = Host::new();
    let board = host.poller.notices.board();
    let now = jiff::Timestamp::now();
    host.poller
        .end(&entry(), None, None, now, applied(Outcome::Succeeded))
        .unwrap();
    host.poller.store.tamper("UPDATE history SET row = x'01ff'");
    host.poller.publish();
    let published = board.published.borrow().clone().unwrap();
    assert_eq!(published.history.len(), 0);
    assert_eq!(published.status.services.len(), 1);
    assert!(host.poller.recover(&host.stop).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_runs_on_unchanged_does_so_since_it_was_brought() {
    let mut host = Host::new();
    let web = entry().service;
    let side = Side {
        sha: None,
        digest: Some(format!("sha256:{}", "1".repeat(64)).parse().unwrap()),
    };
    let now = jiff::Timestamp::now();
    for outcome in [Outcome::Succeeded, Outcome::Unchanged] {
        let ended = moved(outcome, side.clone(), side.clone());
        host.poller.end(&entry(), None, None, now, ended).unwrap();
        if outcome == Outcome::Succeeded {
            let running = host.poller.store.running(&web).unwrap().unwrap();
            let long_ago = Running {
                since: jiff::Timestamp::UNIX_EPOCH,
                ..running
            };
            let end = End {
                running: Some(long_ago),
                ..End::default()
            };
            host.poller.store.close_journal("0", &web, &end).unwrap();
        }
    }
    let running = host.poller.store.running(&web).unwrap().unwrap();
    assert_eq!(running.since, jiff::Timestamp::UNIX_EPOCH);
    let later = moved(Outcome::Unchanged, Side::default(), side);
    host.poller.end(&entry(), None, None, now, later).unwrap();
    let running = host.poller.store.running(&web).unwrap().unwrap();
    assert!(
        running.since > jiff::Timestamp::UNIX_EPOCH,
        "another digest ran"
    );
}
