//! How long an image is waited for, and how often the registry is asked.

use super::*;

/// How `web` stands after its image has been waited for, by which clock.
fn waiting(since: jiff::Timestamp, ms: u64) -> Standing {
    let at = Some(Uptime::now());
    Standing {
        attempt: 1,
        outcome: Outcome::Waiting,
        since,
        waited: Waited {
            ms,
            at,
            ..Waited::default()
        },
        again: false,
        asked: false,
        interruptions: 0,
        stopped_by: None,
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
async fn a_deploy_that_was_put_off_is_at_its_end_each_time_and_tried_again_after_its_pause_for_ever()
 {
    let mut host = Host::new();
    host.work().await.unwrap();
    let service = host.poller.settings.services[0].clone();
    let long_ago = waiting(jiff::Timestamp::UNIX_EPOCH, 99 * 3_600_000);
    for standing in [None, Some(&long_ago)] {
        host.poller.store.write_journal(&entry()).unwrap();
        let put_off = Applied {
            pause: Some(Duration::from_secs(300)),
            ..applied(Outcome::Waiting)
        };
        let now = jiff::Timestamp::now();
        host.poller
            .end(&entry(), Some(&service), standing, now, put_off)
            .unwrap();
        assert_eq!(host.poller.store.open_journals().unwrap(), []);
        assert_eq!(host.standing().outcome, Outcome::Waiting);
        let pause = host.pause().unwrap().as_secs();
        assert!((200..=300).contains(&pause), "{pause}");
    }
}

#[tokio::test]
async fn a_wait_is_told_with_its_newest_reason() {
    let mut host = Host::new();
    let service = host.poller.settings.services[0].clone();
    let now = jiff::Timestamp::now();
    for why in ["it does not answer", "access denied"] {
        let tried = Applied {
            message: why.to_owned(),
            ..applied(Outcome::Waiting)
        };
        let standings = host.poller.store.standings(&service.name).unwrap();
        let standing = standings.get(&entry().intent);
        host.poller
            .end(&entry(), Some(&service), standing, now, tried)
            .unwrap();
        assert_eq!(host.standing().why, why);
    }
}

#[tokio::test]
async fn an_intent_that_waits_for_the_clock_is_told_in_the_status_and_by_a_retry() {
    let mut host = Host::new();
    let board = host.poller.notices.board();
    host.receive(&[manual(1)]);
    host.work().await.unwrap();
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let ahead = Intent {
        created_at: tomorrow,
        expires_at: Some(tomorrow + jiff::SignedDuration::from_hours(1)),
        ..manual(1)
    };
    host.receive(&[ahead]);
    host.poller.publish();
    let published = board.published.borrow().clone().unwrap();
    let pending = published.status.services[0].pending.clone().unwrap();
    assert!(pending.why.contains("clock"), "{pending:?}");
    let stop = host.stop.clone();
    let declined = host
        .poller
        .retry(&entry().service, &stop)
        .await
        .unwrap_err();
    assert!(matches!(declined, Declined::Undatable { .. }), "{declined}");
}

impl Host {
    /// Ends a try of the first intent that was put off, and returns how it stands then.
    fn put_off(&mut self, standing: Option<&Standing>) -> Standing {
        let service = self.poller.settings.services[0].clone();
        let put_off = Applied {
            pause: Some(Duration::from_secs(300)),
            ..applied(Outcome::Waiting)
        };
        let now = jiff::Timestamp::now();
        self.poller
            .end(&entry(), Some(&service), standing, now, put_off)
            .unwrap();
        self.standing()
    }
}

#[tokio::test]
async fn news_do_not_wake_an_intent_that_was_put_off_but_a_newer_one_has_its_turn_at_once() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.put_off(None);
    for _ in 0..2 {
        host.poller.todo.note_news();
        host.work().await.unwrap();
        let pause = host.pause().unwrap().as_secs();
        assert!((200..=300).contains(&pause), "tried again: {pause}");
    }
    host.receive(&[manual(1), manual(2)]);
    host.work().await.unwrap();
    let pause = host.pause().unwrap();
    assert!(pause <= Duration::from_secs(10), "not tried: {pause:?}");
    let standings = host.poller.store.standings(&entry().service).unwrap();
    assert_eq!(standings[&entry().intent].outcome, Outcome::Superseded);
}

#[tokio::test]
async fn a_retry_does_not_wait_until_an_intent_was_put_off_to() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.put_off(None);
    host.work().await.unwrap();
    let stop = host.stop.clone();
    host.poller.retry(&entry().service, &stop).await.unwrap();
    let pause = host.pause().unwrap();
    assert!(pause <= Duration::from_secs(10), "not tried: {pause:?}");
}

#[tokio::test]
async fn the_time_of_a_pause_is_no_part_of_the_wait_for_an_image_and_has_no_end_in_the_status() {
    let mut host = Host::new();
    let board = host.poller.notices.board();
    let until = |host: &mut Host| {
        host.poller.publish();
        let published = board.published.borrow().clone().unwrap();
        published.status.services[0].pending.clone().unwrap().until
    };
    host.receive(&[manual(1)]);
    host.wait(None);
    assert!(until(&mut host).is_some());
    let waited = waiting(jiff::Timestamp::now(), 1000);
    let paused = host.put_off(Some(&waited));
    assert_eq!(paused.waited.at, None);
    assert_eq!(until(&mut host), None);
    host.wait(Some(&paused));
    assert_eq!(host.standing().waited.ms, paused.waited.ms);
    assert!(until(&mut host).is_some());
}

#[tokio::test]
async fn a_commit_is_waited_for_in_words_of_its_own_whatever_an_image_was_waited_for() {
    let mut host = Host::new();
    let service = host.poller.settings.services[0].clone();
    let missing = |host: &mut Host, standing: &Standing| {
        let tried = Applied {
            awaited: Awaited::Commit,
            ..applied(Outcome::Waiting)
        };
        let since = standing.since;
        host.poller
            .end(&entry(), Some(&service), Some(standing), since, tried)
            .unwrap();
        host.standing()
    };
    host.wait(None);
    let long = waiting(jiff::Timestamp::now(), 5 * 60 * 1000);
    let standing = missing(&mut host, &long);
    assert_eq!(standing.waited.ms, 0, "that was for the image");
    let standing = Standing {
        waited: Waited {
            what: Awaited::Commit,
            ..long.waited.clone()
        },
        ..long
    };
    assert_eq!(
        missing(&mut host, &standing).outcome,
        Outcome::FailedUntouched
    );
    let past = host.poller.store.history(None, 1).unwrap();
    let message = &past[0].report.message;
    assert!(
        message.contains("waited 300s for the commit") && !message.contains("image"),
        "{message}"
    );
}

#[tokio::test]
async fn an_intent_that_was_put_off_expires_meanwhile_as_any_other() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.put_off(None);
    let expired = Intent {
        expires_at: Some(jiff::Timestamp::now() - jiff::SignedDuration::from_secs(1)),
        ..manual(1)
    };
    host.receive(&[expired]);
    host.work().await.unwrap();
    assert_eq!(host.standing().outcome, Outcome::Expired);
    assert_eq!(host.pause(), None, "it is looked at no more");
}
