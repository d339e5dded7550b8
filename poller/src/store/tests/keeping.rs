//! What is there again after opening again, and what is forgotten.

use proptest::prelude::*;

use super::{super::spool::next, *};

#[test]
fn everything_is_there_again_after_opening_again() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.mark(&channel()).unwrap(), Some(at(2)));
    assert_eq!(
        store.intents(&channel()).unwrap(),
        [intent(7, 1), intent(7, 2)]
    );
    assert_eq!(store.seen(&web()).unwrap().unwrap().newest, at(2));
    let standings = store.standings(&web()).unwrap();
    assert_eq!(standings[&intent(7, 1).id].outcome, Outcome::Superseded);
    assert_eq!(store.open_journals().unwrap(), [entry("0a0a0a0a", "{}")]);
    let done = report(2, Outcome::Succeeded);
    let running = Running {
        side: Side::default(),
        version: None,
        revision: None,
        placed: None,
        intent: Some(done.intent.clone()),
        since: Timestamp::UNIX_EPOCH,
        unwell: None,
    };
    let end = End {
        running: Some(running.clone()),
        ..End::of(done.clone())
    };
    store.close_journal("0a0a0a0a", &web(), &end).unwrap();
    assert_eq!(store.open_journals().unwrap(), []);
    assert_eq!(store.running(&web()).unwrap(), Some(running));
    let spooled = store.spooled(10).unwrap();
    assert_eq!(
        spooled.into_iter().map(Spooled::made).collect::<Vec<_>>(),
        [
            report(1, Outcome::Superseded),
            done,
            acknowledged(&intent(7, 2)),
            acknowledged(&intent(7, 1)),
        ],
        "outcomes come before acknowledgements"
    );
}

#[test]
fn intents_the_mark_and_their_acknowledgements_are_kept_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let two = [intent(7, 1), intent(7, 2)];
    for table in ["spool", "intent", "mark"] {
        store.tamper(&format!(
            "CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'disk is full'); END"
        ));
        store
            .receive(&channel(), at(2), &two, acknowledged)
            .unwrap_err();
        store.tamper("DROP TRIGGER full");
        assert_eq!(store.mark(&channel()).unwrap(), None, "{table}");
        assert_eq!(store.intents(&channel()).unwrap(), []);
        assert_eq!(store.unsent().unwrap(), 0);
    }
    store
        .receive(&channel(), at(2), &two, acknowledged)
        .unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let spooled = store.spooled(9).unwrap().into_iter();
    let reports: Vec<_> = spooled.map(Spooled::made).collect();
    assert_eq!(reports, [acknowledged(&two[0]), acknowledged(&two[1])]);
}

#[test]
fn many_acknowledgements_leave_outcomes_their_place_in_the_next_request() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let many: Vec<_> = (1..=200).map(|seq| intent(7, seq)).collect();
    store
        .receive(&channel(), at(200), &many, acknowledged)
        .unwrap();
    let done = report(7, Outcome::Succeeded);
    store.close_journal("0", &web(), &End::of(done)).unwrap();
    let first = store.spooled(100).unwrap();
    assert_eq!(
        (first.len(), first[0].report.outcome),
        (100, Some(Outcome::Succeeded))
    );
}

#[test]
fn a_service_or_channel_whose_name_begins_alike_is_another() {
    let dir = filled();
    let store = Store::open(dir.path()).unwrap();
    assert!(store.standings(&"we".parse().unwrap()).unwrap().is_empty());
    assert!(
        store
            .intents(&"octo-org/we".parse().unwrap())
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.mark(&"octo-org/we".parse().unwrap()).unwrap(), None);
}

/// The order that the next report gets, after what a try that goes on would be told with.
fn next_order(dir: &Path) -> Order {
    let mut store = Store::open(dir).unwrap();
    let told_aside = Order(store.last_spooled().unwrap(), u64::MAX);
    store.spool(&report(1, Outcome::Waiting)).unwrap();
    let sent = store.spooled(9).unwrap();
    let order = sent[0].report.order.unwrap();
    assert!(order > told_aside, "{order:?} after {told_aside:?}");
    store.acknowledge(&[sent[0].id]).unwrap();
    assert_eq!(
        store.last_spooled().unwrap(),
        order.0,
        "also once it was sent"
    );
    order
}

#[test]
fn a_report_of_a_state_that_was_begun_anew_comes_after_those_of_the_old_one() {
    let begun = Timestamp::now().as_millisecond();
    for _ in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        assert!(next_order(dir.path()).0 >= u64::try_from(begun).unwrap());
    }
}

#[test]
fn a_report_of_a_copy_that_was_put_back_comes_after_those_that_it_knows_nothing_of() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let copy = fs::read(dir.path().join("state.db")).unwrap();
    let lost = [(); 5].map(|()| next_order(dir.path()));
    fs::write(dir.path().join("state.db"), copy).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert!(next_order(dir.path()) > lost[4], "{lost:?}");
}

proptest! {
    #[test]
    fn numbers_only_grow_whatever_the_clock_does(steps in prop::collection::vec(-9_000i64..9_000, 1..40)) {
        let (mut last, mut now) = (0, 1_795_186_000_000i64);
        for step in steps {
            now += step;
            let number = next(last, Timestamp::from_millisecond(now).unwrap());
            prop_assert!(number > last && number >= now);
            last = number;
        }
    }

    #[test]
    fn a_copy_that_is_put_back_numbers_on_after_what_was_lost(
        (steps, kept) in prop::collection::vec(1i64..9_000, 2..40)
            .prop_flat_map(|steps| (Just(steps.clone()), 0..steps.len()))
    ) {
        let (mut last, mut now) = (0, 1_795_186_000_000i64);
        let mut given = Vec::new();
        for step in steps {
            now += step;
            last = next(last, Timestamp::from_millisecond(now).unwrap());
            given.push(last);
        }
        let later = Timestamp::from_millisecond(now + 1).unwrap();
        prop_assert!(next(given[kept], later) > last);
    }
}

#[test]
fn the_acknowledgement_of_an_earlier_phase_does_not_remove_the_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store
        .close_journal("0", &web(), &End::of(report(1, Outcome::Waiting)))
        .unwrap();
    let sent = store.spooled(10).unwrap();
    store
        .close_journal("1", &web(), &End::of(report(1, Outcome::Succeeded)))
        .unwrap();
    store.acknowledge(&[sent[0].id]).unwrap();
    let left = store.spooled(10).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].report.outcome, Some(Outcome::Succeeded));
    assert!(left[0].report.order > sent[0].report.order);
    store.park(left[0].id, "refused").unwrap();
    assert_eq!(
        (store.spooled(10).unwrap().len(), store.parked().unwrap()),
        (0, 1)
    );
}

#[test]
fn a_service_that_needs_an_operator_is_blocked_until_it_is_resolved() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store
        .close_journal("0", &web(), &End::of(report(1, Outcome::NeedsOperator)))
        .unwrap();
    assert_eq!(store.blocked(&web()).unwrap(), Some(intent(7, 1).id));
    assert_eq!(store.blocked(&"api".parse().unwrap()).unwrap(), None);
    assert!(store.resolve(&web()).unwrap() && !store.resolve(&web()).unwrap());
    assert_eq!(store.blocked(&web()).unwrap(), None);
}

#[test]
fn old_intents_are_forgotten_unless_they_are_to_be_judged_or_tried_again_or_lie_behind_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let all: Vec<_> = (1..=100).map(|seq| intent(7, seq)).collect();
    store
        .receive(&channel(), at(30), &all, acknowledged)
        .unwrap();
    store
        .close_journal("0", &web(), &End::of(report(5, Outcome::Waiting)))
        .unwrap();
    store
        .close_journal("1", &web(), &End::of(report(6, Outcome::Succeeded)))
        .unwrap();
    let interrupted = End {
        tries: Tries {
            again: true,
            ..Tries::default()
        },
        ..End::of(report(8, Outcome::RolledBack))
    };
    store.close_journal("2", &web(), &interrupted).unwrap();
    let is_open =
        |one: &Intent, outcomes: &BTreeMap<ServiceName, Outcome>| match outcomes.get(&web()) {
            Some(outcome) => !outcome.is_terminal(),
            None => one.seq == 7,
        };
    store.prune(&channel(), is_open).unwrap();
    let left: Vec<_> = store
        .intents(&channel())
        .unwrap()
        .iter()
        .map(|one| one.seq)
        .collect();
    assert_eq!(left, [vec![5, 7, 8], (31..=100).collect()].concat());
    assert_eq!(store.standings(&web()).unwrap().len(), 2);
}

#[test]
fn the_history_has_the_newest_ends_of_each_service_and_what_caused_them() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    let api: ServiceName = "api".parse().unwrap();
    let other = Report {
        service: Some(api.clone()),
        ..report(99, Outcome::Refused)
    };
    store.close_journal("0", &api, &End::of(other)).unwrap();
    store
        .close_journal("1", &web(), &End::of(report(2, Outcome::Waiting)))
        .unwrap();
    for attempt in 0..HISTORY + 20 {
        let again = Report {
            attempt,
            ..report(2, Outcome::RolledBack)
        };
        store.close_journal("2", &web(), &End::of(again)).unwrap();
    }
    let of_web = store.history(Some(&web()), 1000).unwrap();
    assert_eq!(of_web.len(), HISTORY as usize);
    assert_eq!(of_web[0].report.attempt, HISTORY + 19, "the newest first");
    let cause = &of_web[0].cause;
    assert_eq!(
        (cause.kind, cause.run_number, cause.by.as_deref()),
        (CauseKind::WorkflowRun, Some(2), Some("octocat"))
    );
    let of_api = store.history(Some(&api), 1000).unwrap();
    assert_eq!(of_api.len(), 1, "another's ends push nothing out");
    assert_eq!(
        of_api[0].cause,
        Cause::default(),
        "its intent is not known any more"
    );
    assert_eq!(store.history(None, 3).unwrap().len(), 3);
}

#[test]
fn an_end_with_all_that_it_changes_is_kept_together_or_not_at_all() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    let hold = Hold {
        channel: channel(),
        place: at(2),
        since: Timestamp::UNIX_EPOCH,
        why: "v2 leaks".to_owned(),
    };
    let end = End {
        tries: Tries {
            again: true,
            interruptions: 2,
            ..Tries::default()
        },
        failed: Some(failed('a')),
        hold: HoldChange::Begin(hold.clone()),
        ..End::of(report(1, Outcome::RolledBack))
    };
    store.tamper(
        "CREATE TRIGGER full BEFORE INSERT ON hold BEGIN SELECT RAISE(FAIL, 'disk is full'); END",
    );
    store.close_journal("0a0a0a0a", &web(), &end).unwrap_err();
    assert_eq!(store.open_journals().unwrap().len(), 1);
    assert_eq!(store.history(None, 9).unwrap().len(), 1);
    assert_eq!(store.quarantine(&web()).unwrap(), []);
    store.tamper("DROP TRIGGER full");
    store.close_journal("0a0a0a0a", &web(), &end).unwrap();
    assert_eq!(store.quarantine(&web()).unwrap(), [failed('a')]);
    assert_eq!(store.quarantine(&"we".parse().unwrap()).unwrap(), []);
    assert_eq!(store.hold(&web()).unwrap(), Some(hold));
    let standing = &store.standings(&web()).unwrap()[&intent(7, 1).id];
    assert_eq!((standing.again, standing.interruptions), (true, 2));
    let good = End {
        proved: Some(testing::digest('a').into()),
        failed: Some(failed('b')),
        hold: HoldChange::End,
        ..End::of(report(2, Outcome::Succeeded))
    };
    store.close_journal("0", &web(), &good).unwrap();
    assert_eq!(store.quarantine(&web()).unwrap(), [failed('b')]);
    assert_eq!(store.hold(&web()).unwrap(), None);
}

#[test]
fn another_try_passes_by_the_quarantine_which_stays_for_the_others() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    let end = End {
        tries: Tries {
            interruptions: 3,
            ..Tries::default()
        },
        failed: Some(failed('a')),
        ..End::of(report(2, Outcome::RolledBack))
    };
    store.close_journal("0", &web(), &end).unwrap();
    store.try_again(&web(), &intent(7, 2).id).unwrap();
    let standing = &store.standings(&web()).unwrap()[&intent(7, 2).id];
    assert_eq!(
        (standing.again, standing.interruptions, standing.attempt),
        (true, 0, 1)
    );
    let barred = |store: &Store, seq| store.barred(&web(), &intent(7, seq).id).unwrap();
    assert_eq!(barred(&store, 2), []);
    assert_eq!(barred(&store, 3), [failed('a')]);
    let waiting = End::of(report(2, Outcome::Waiting));
    store.close_journal("1", &web(), &waiting).unwrap();
    store.try_again(&web(), &intent(7, 2).id).unwrap();
    let standing = &store.standings(&web()).unwrap()[&intent(7, 2).id];
    assert!(!standing.again, "it has not ended yet");
    store.close_journal("1", &web(), &waiting).unwrap();
    assert_eq!(barred(&store, 2), [], "it waits, as it was asked");
    let over = End::of(report(2, Outcome::RolledBack));
    store.close_journal("1", &web(), &over).unwrap();
    assert_eq!(barred(&store, 2), [failed('a')], "it was asked for once");
}

#[test]
fn versions_are_kept_the_last_one_first_and_show_no_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let version = |image: &str, until: i64| Version {
        image_id: image.to_owned(),
        digest: None,
        sha: None,
        intent: None,
        since: None,
        until: Timestamp::from_second(until).unwrap(),
        tag: format!("towline/web:{image}"),
        container: json!({ "Config": { "Env": ["PASSWORD=hunter2"] } }),
        image: json!({}),
    };
    for (image, until) in [("one", 1), ("two", 2), ("one", 3), ("three", 0)] {
        let version = version(image, until);
        store.keep_version(&web(), &version).unwrap();
    }
    store.forget_version(&web(), "three").unwrap();
    let versions = store.versions(&web()).unwrap();
    assert_eq!(versions, [version("one", 3), version("two", 2)]);
    assert!(!format!("{versions:?}").contains("hunter2"));
    assert_eq!(store.versions(&"we".parse().unwrap()).unwrap(), []);
}

#[test]
fn of_many_failed_digests_and_refused_reports_the_newest_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for seq in 1..=150_u32 {
        let version = format!("sha256:{seq:064x}").parse().unwrap();
        let place = at(if seq == 150 { 1 } else { seq.into() });
        let end = End {
            failed: Some(Quarantined {
                version,
                place,
                ..failed('a')
            }),
            ..End::of(report(seq.into(), Outcome::RolledBack))
        };
        store.close_journal("0", &web(), &end).unwrap();
        let spooled = store.spooled(1).unwrap().remove(0);
        store.park(spooled.id, "never").unwrap();
    }
    let held = store.quarantine(&web()).unwrap();
    let seqs: BTreeSet<_> = held.iter().map(|one| one.place.seq).collect();
    assert_eq!(seqs, (51..=149).chain([1]).collect(), "and the last one");
    assert_eq!((store.parked().unwrap(), store.unsent().unwrap()), (100, 0));
}
