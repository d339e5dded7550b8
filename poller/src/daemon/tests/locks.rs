//! Services that somebody holds off: what waits for that, what does not, and what is said of it.

use super::*;
use crate::{
    control::{
        board::{Errand, LockOrder, Order},
        message::{Code, Line},
    },
    lock::{Asked, Length, Lock, LockName},
    store::Past,
    uptime::{Moment, Uptime},
};

/// Taken now by `name`, for an hour.
pub(super) fn lock(name: &str) -> Lock {
    Lock {
        name: name.parse().unwrap(),
        reason: "nightly dump".parse().ok(),
        since: Moment::now(),
        length: Length::try_from(3600).unwrap(),
    }
}

fn web() -> ServiceName {
    entry().service
}

impl Host {
    fn hold(&mut self, lock: &Lock) {
        let mut locks = self.poller.store.locks();
        locks.put(&web(), lock, &Moment::now()).unwrap();
    }

    /// What would be applied to `web` now.
    fn next(&mut self) -> Option<u64> {
        let service = self.poller.settings.services[0].clone();
        let judged = self.poller.judge(&service).unwrap();
        judged.map(|(intent, _)| intent.seq)
    }

    /// As who asks by the control socket or without it.
    fn ask(&mut self, service: &str, asked: &Asked) -> Result<String, Declined> {
        let (mut locks, service) = (self.poller.store.locks(), service.parse().unwrap());
        let settings = &self.poller.settings;
        change_locks(&mut locks, settings, &service, asked, &Moment::now())
    }

    /// The last thing that the relay is told of `web`.
    fn told(&self) -> Report {
        let spooled = self.poller.store.spooled(99).unwrap().into_iter();
        let mut reports = spooled.map(|spooled| spooled.report);
        reports.rfind(|report| report.service.is_some()).unwrap()
    }
}

fn to_hold(name: &str) -> Asked {
    Asked::Hold {
        name: name.parse().unwrap(),
        length: Length::try_from(600).unwrap(),
        reason: None,
    }
}

fn to_release(name: Option<&str>) -> Asked {
    Asked::Release {
        name: name.map(|name| name.parse().unwrap()),
    }
}

/// What the keeper answers who asks this about `web`.
async fn asked_of(keeper: &tokio::sync::mpsc::Sender<LockOrder>, asked: Asked) -> Line {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let order = LockOrder {
        service: web(),
        asked,
        answer,
    };
    keeper.send(order).await.unwrap();
    answered.await.unwrap()
}

#[tokio::test]
async fn what_is_held_off_waits_with_its_reason_and_is_looked_at_again_when_the_time_is_over() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.hold(&lock("dump"));
    host.work().await.unwrap();
    let told = host.told();
    assert_eq!(told.outcome, Some(Outcome::Waiting));
    let message = &told.message;
    assert!(
        message.starts_with("web: held off by dump until ") && message.ends_with("(nightly dump)"),
        "{message}"
    );
    assert_eq!(host.poller.outcomes, [Outcome::Waiting]);
    let pause = host.pause().unwrap().as_secs();
    assert!((3500..=3600).contains(&pause), "{pause}");
    host.work().await.unwrap();
    assert_eq!(host.poller.store.unsent().unwrap(), 1, "told once");
    assert!(
        host.poller.store.standings(&web()).unwrap().is_empty(),
        "nothing was tried"
    );
}

#[tokio::test]
async fn the_newest_intent_wins_also_while_it_is_held_off_and_nothing_is_lost() {
    let mut host = Host::new();
    host.hold(&lock("dump"));
    host.receive(&[manual(1)]);
    assert_eq!(host.next(), None);
    host.receive(&[manual(1), manual(2)]);
    assert_eq!(host.next(), None);
    assert_eq!(host.standing().outcome, Outcome::Superseded);
    host.ask("web", &to_release(Some("dump"))).unwrap();
    assert_eq!(host.next(), Some(2));
}

#[tokio::test]
async fn a_service_has_its_turn_only_when_the_last_of_those_who_hold_it_off_lets_go() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    for name in ["dump", "operator"] {
        host.hold(&lock(name));
    }
    assert_eq!(host.next(), None);
    let said = host.ask("web", &to_release(Some("operator"))).unwrap();
    assert!(
        said.starts_with("web is no longer held off by operator; it is still held off by dump "),
        "{said}"
    );
    host.poller.note_lock(&web()).unwrap();
    assert_eq!(host.next(), None);
    let again = host.ask("web", &to_release(Some("operator"))).unwrap();
    assert!(
        again.starts_with("web was not held off by operator; it is still"),
        "{again}"
    );
    let said = host.ask("web", &to_release(None)).unwrap();
    assert_eq!(said, "web is no longer held off");
    host.poller.note_lock(&web()).unwrap();
    assert_eq!(host.pause(), Some(Duration::ZERO));
    assert_eq!(host.next(), Some(1));
}

#[tokio::test]
async fn a_lock_of_another_service_holds_nothing_off_here() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    let mut locks = host.poller.store.locks();
    let other = "web-2".parse().unwrap();
    locks.put(&other, &lock("dump"), &Moment::now()).unwrap();
    assert_eq!(host.next(), Some(1));
}

#[tokio::test]
async fn orders_of_an_operator_are_declined_with_who_holds_it_off_and_how_that_ends() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.hold(&lock("dump"));
    let stop = host.stop.clone();
    let declined = [
        host.poller.retry(&web(), &stop).await.unwrap_err(),
        host.poller
            .roll_back(&web(), None, &stop)
            .await
            .unwrap_err(),
    ];
    for declined in declined {
        let said = declined.to_string();
        assert!(
            said.starts_with("web is held off by dump until ")
                && said.ends_with(
                    "(nightly dump); wait, or run `towline release web --as dump` first"
                ),
            "{said}"
        );
    }
    host.hold(&lock("operator"));
    let both = host.poller.retry(&web(), &stop).await.unwrap_err();
    assert!(both.to_string().contains("`towline release web --all`"));
}

#[tokio::test]
async fn a_service_that_needs_an_operator_is_resolved_while_it_is_held_off_and_waits_on() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    let failed = report::blank(
        manual(1).id,
        &web(),
        1,
        Outcome::NeedsOperator,
        jiff::Timestamp::now(),
    );
    host.ends(&End::of(failed));
    host.receive(&[manual(1), manual(2)]);
    host.hold(&lock("dump"));
    let engine = host.poller.engine.address().map(str::to_owned);
    let (store, settings) = (&mut host.poller.store, &host.poller.settings);
    let said = resolve(store, settings, &web(), engine.as_deref()).await;
    assert!(said.unwrap().starts_with("web may be deployed again"));
    assert_eq!(host.next(), None);
    host.ask("web", &to_release(None)).unwrap();
    assert_eq!(host.next(), Some(2));
}

#[tokio::test]
async fn a_deploy_that_was_interrupted_is_taken_to_its_end_though_the_service_is_held_off() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    // Cut short before it began: it needs no engine to be at its end.
    let interrupted = JournalEntry {
        body: "{}".to_owned(),
        ..entry()
    };
    host.poller.store.write_journal(&interrupted).unwrap();
    host.poller
        .unclosed
        .insert(interrupted.deploy, applied(Outcome::RolledBack));
    host.hold(&lock("dump"));
    host.work().await.unwrap();
    assert_eq!(host.poller.store.open_journals().unwrap(), []);
    assert_eq!(host.standing().outcome, Outcome::RolledBack);
    let past: Vec<Past> = host.poller.store.history(None, 9).unwrap();
    assert_eq!(past.len(), 1, "and nothing more is begun");
}

#[tokio::test]
async fn who_holds_a_service_off_again_by_the_same_name_counts_anew_and_holds_once() {
    let mut host = Host::new();
    host.hold(&lock("operator"));
    host.ask("web", &to_hold("operator")).unwrap();
    let now = Moment::now();
    let locks = host.poller.store.locks().of(&web(), &now).unwrap();
    assert_eq!(locks.len(), 1);
    let left = locks[0].left(&now).as_secs();
    assert!((500..=600).contains(&left), "{left}");
}

#[tokio::test]
async fn an_unknown_service_and_one_name_too_many_are_declined_and_change_nothing() {
    let mut host = Host::new();
    for asked in [to_hold("dump"), to_release(None)] {
        let declined = host.ask("wbe", &asked).unwrap_err();
        assert!(matches!(declined, Declined::Unknown { .. }), "{declined}");
    }
    let all = |host: &Host| host.poller.store.locks().all(&Moment::now()).unwrap();
    assert!(all(&host).is_empty());
    for number in 0..crate::lock::MOST {
        host.ask("web", &to_hold(&format!("job-{number}"))).unwrap();
    }
    let declined = host.ask("web", &to_hold("one-more")).unwrap_err();
    assert!(
        declined
            .to_string()
            .contains("held off by 16 names already"),
        "{declined}"
    );
    host.ask("web", &to_hold("job-3")).unwrap();
    assert_eq!(all(&host)[&web()].len(), crate::lock::MOST);
}

#[tokio::test]
async fn a_service_that_the_file_names_no_longer_can_be_let_go() {
    let mut host = Host::new();
    let gone: ServiceName = "gone".parse().unwrap();
    let mut locks = host.poller.store.locks();
    locks.put(&gone, &lock("dump"), &Moment::now()).unwrap();
    host.ask("gone", &to_release(Some("operator"))).unwrap();
    let said = host.ask("gone", &to_release(Some("dump"))).unwrap();
    assert_eq!(said, "gone is no longer held off by dump");
    host.ask("gone", &to_release(Some("dump"))).unwrap_err();
}

#[tokio::test]
async fn a_disk_that_refuses_a_lock_is_told_and_nothing_is_held_off() {
    let mut host = Host::new();
    host.receive(&[manual(1)]);
    host.poller.store.tamper(&fill_disk("lock"));
    let declined = host.ask("web", &to_hold("dump")).unwrap_err();
    assert!(matches!(declined, Declined::Store(_)), "{declined}");
    assert_eq!(host.next(), Some(1));
}

#[tokio::test]
async fn what_is_asked_while_the_loop_is_busy_is_answered_and_shown_and_the_loop_hears_of_it() {
    let mut host = Host::new();
    let board = host.poller.notices.board();
    let (keeper, ask) = host.poller.keep_locks();
    let asking = asked_of(&ask, to_hold("dump"));
    let answer = tokio::select! {
        answer = asking => answer,
        never = keeper.keep() => match never {},
    };
    let Line::Done(said) = answer else {
        panic!("{answer:?}");
    };
    assert!(said.starts_with("web is held off by dump until "), "{said}");
    let dump: LockName = "dump".parse().unwrap();
    assert_eq!(board.locks.borrow()[&web()][0].name, dump);
    assert_eq!(host.poller.lock_news.next().await, web());
}

#[tokio::test]
async fn who_holds_off_anew_before_anybody_saw_that_the_time_was_over_goes_on_holding_it_off() {
    let mut host = Host::new();
    let board = host.poller.notices.board();
    let shown = host.poller.notices.locks();
    let (keeper, ask) = host.poller.keep_locks();
    let over = Lock {
        since: Moment {
            at: Moment::now().at,
            up: Uptime {
                boot: "earlier".to_owned(),
                ms: 0,
            },
        },
        length: Length::try_from(1).unwrap(),
        ..lock("dump")
    };
    let asking = async {
        // Since the keeper has looked for the first time, as after a suspend of the host.
        host.hold(&over);
        shown.send_replace([(web(), vec![over])].into());
        asked_of(&ask, to_hold("dump")).await
    };
    let answer = tokio::select! {
        biased;
        never = keeper.keep() => match never {},
        answer = asking => answer,
    };
    assert!(matches!(answer, Line::Done(_)), "{answer:?}");
    let (locks, now) = (host.poller.store.locks(), Moment::now());
    assert_eq!(locks.of(&web(), &now).unwrap().len(), 1);
    assert_eq!(board.locks.borrow()[&web()].len(), 1);
    host.receive(&[manual(1)]);
    assert_eq!(host.next(), None);
}

#[tokio::test]
async fn a_retry_by_the_control_socket_is_declined_in_words_and_the_board_knows_of_it_meanwhile() {
    let mut host = Host::new();
    let board = host.poller.notices.board();
    host.receive(&[manual(1)]);
    host.hold(&lock("dump"));
    let (answer, mut answered) = tokio::sync::mpsc::unbounded_channel();
    let order = Order {
        service: web(),
        errand: Errand::Retry,
        answer,
    };
    let stop = host.stop.clone();
    host.poller.obey(order, &stop).await.unwrap();
    let Some(Line::Error(refused)) = answered.recv().await else {
        panic!("it is not declined");
    };
    assert_eq!(refused.code, Code::Declined);
    assert!(refused.message.contains("nightly dump"), "{refused}");
    assert_eq!(*board.ordered.borrow(), None);
    assert!(board.ordered.has_changed().unwrap(), "it was known");
}
