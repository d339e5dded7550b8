use std::collections::BTreeMap;

use proptest::prelude::*;
use towline_protocol::Gate;

use super::*;
use crate::{report, testing};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn said(service: &str, outcome: Outcome) -> Report {
    let intent = testing::intent(7, 1).id;
    let blank = report::blank(intent, &service.parse().unwrap(), 1, outcome, NOW);
    Report {
        message: format!("{service}: because"),
        ..blank
    }
}

/// A host that has acknowledged `matched`, if anything, and said `reports`.
fn host(matched: Option<&[&str]>, reports: &[Report]) -> HostStatus {
    let name = |text: &&str| text.parse().unwrap();
    let reports = reports.iter().cloned();
    HostStatus {
        seen_at: NOW,
        matched: matched.map(|names| names.iter().map(name).collect()),
        services: reports
            .map(|report| (report.service.clone().unwrap(), report))
            .collect(),
    }
}

fn status(hosts: &[(&str, HostStatus)]) -> IntentStatus {
    let hosts = hosts.iter().cloned();
    IntentStatus {
        intent: testing::intent(7, 1),
        hosts: hosts
            .map(|(name, host)| (name.parse().unwrap(), host))
            .collect(),
    }
}

fn view(hosts: &[(&str, HostStatus)]) -> View {
    View::of(&status(hosts))
}

/// The exit status and what is said, when it is over.
fn end(view: &View) -> (u8, String) {
    assert!(view.is_over(), "{view:?}");
    let conclusion = view.conclusion(Enough::Over, false);
    (conclusion.ending.status(), conclusion.words.join("\n"))
}

fn given_up(view: &View) -> (u8, String) {
    let conclusion = view.conclusion(Enough::TimedOut(Duration::from_secs(900)), false);
    (conclusion.ending.status(), conclusion.words.join("\n"))
}

#[test]
fn a_host_that_has_not_acknowledged_is_waited_for_and_named_in_the_end() {
    let view = view(&[
        (
            "pi",
            host(Some(&["web"]), &[said("web", Outcome::Succeeded)]),
        ),
        ("nas", host(None, &[])),
    ]);
    assert!(!view.is_over());
    let (status, words) = given_up(&view);
    assert_eq!(status, 1);
    assert!(words.contains("gave up after 900 s"), "{words}");
    assert!(words.contains("nas: has not acknowledged it"), "{words}");
    assert!(!words.contains("pi web"), "{words}");
    assert!(words.contains("towline follow in_"), "{words}");
}

#[test]
fn a_matched_service_without_an_outcome_is_waited_for() {
    for reports in [
        vec![],
        vec![said("api", Outcome::Waiting)],
        vec![said("api", Outcome::Applying)],
    ] {
        let all = [vec![said("web", Outcome::Succeeded)], reports].concat();
        let view = view(&[("pi", host(Some(&["web", "api"]), &all))]);
        assert!(!view.is_over());
        let (status, words) = given_up(&view);
        assert_eq!(status, 1);
        assert!(words.contains("pi api: "), "{words}");
    }
}

#[test]
fn a_host_whose_acknowledgement_is_missing_is_waited_for_whatever_it_reports() {
    let view = view(&[("pi", host(None, &[said("web", Outcome::Succeeded)]))]);
    assert!(!view.is_over());
}

#[test]
fn what_is_reported_counts_though_the_acknowledgement_does_not_name_it() {
    let view = view(&[("pi", host(Some(&[]), &[said("web", Outcome::Refused)]))]);
    let (status, words) = end(&view);
    assert_eq!(status, 3);
    assert_eq!(words, "pi web: refused: because\n1 refused");
}

#[test]
fn all_well_is_0_and_says_how_often() {
    let view = view(&[
        (
            "a",
            host(Some(&["web"]), &[said("web", Outcome::Succeeded)]),
        ),
        (
            "b",
            host(Some(&["web"]), &[said("web", Outcome::Unchanged)]),
        ),
        (
            "c",
            host(Some(&["web"]), &[said("web", Outcome::Succeeded)]),
        ),
        ("d", host(Some(&[]), &[])),
    ]);
    assert_eq!(end(&view), (0, "2 succeeded, 1 unchanged".to_owned()));
}

#[test]
fn what_was_overtaken_does_not_count() {
    for outcome in [Outcome::Superseded, Outcome::Stale, Outcome::Expired] {
        let view = view(&[("pi", host(Some(&["web"]), &[said("web", outcome)]))]);
        assert_eq!(end(&view), (0, format!("1 {}", outcome.as_str())));
    }
}

#[test]
fn a_failed_host_is_told_with_its_last_words_and_an_operators_case_is_4() {
    let lines: Vec<_> = (1..=30).map(|n| format!("line {n}\x1b[2J")).collect();
    let failed = Report {
        log_tail: lines.join("\n"),
        ..said("web", Outcome::RolledBack)
    };
    let stuck = said("db", Outcome::NeedsOperator);
    let well = (
        "nas",
        host(Some(&["web"]), &[said("web", Outcome::Succeeded)]),
    );
    let one = view(&[
        ("pi", host(Some(&["web"]), std::slice::from_ref(&failed))),
        well.clone(),
    ]);
    let (status, words) = end(&one);
    assert_eq!(status, 3);
    assert!(
        words.starts_with("pi web: rolled_back: because\n  | line 11 [2J\n"),
        "{words}"
    );
    assert!(
        words.contains("line 30") && !words.contains("nas"),
        "{words}"
    );
    let both = view(&[("pi", host(Some(&["web", "db"]), &[failed, stuck])), well]);
    assert_eq!(end(&both).0, 4);
}

#[test]
fn what_was_told_already_is_not_told_again_but_the_last_words_are_new() {
    let failed = Report {
        log_tail: "boom".to_owned(),
        ..said("web", Outcome::RolledBack)
    };
    let silent = said("db", Outcome::Refused);
    let view = view(&[("pi", host(Some(&["web", "db"]), &[failed, silent]))]);
    let words = view.conclusion(Enough::Over, true).words;
    let wanted = ["pi web said last:", "  | boom", "1 refused, 1 rolled_back"];
    assert_eq!(words, wanted);
    assert!(view.fits(2) && !view.fits(1));
}

#[test]
fn a_failure_is_more_urgent_than_a_host_that_is_missing() {
    let view = view(&[
        (
            "pi",
            host(Some(&["web"]), &[said("web", Outcome::RolledBack)]),
        ),
        ("nas", host(None, &[])),
    ]);
    assert!(!view.is_over(), "the others are waited for all the same");
    assert_eq!(given_up(&view).0, 3);
}

#[test]
fn nobody_there_and_nobody_meant_are_1_at_once() {
    let (status, words) = end(&view(&[]));
    assert_eq!(status, 1);
    assert!(
        words.contains("no host was seen on channel octo-org/web"),
        "{words}"
    );
    let (status, words) = end(&view(&[("pi", host(Some(&[]), &[]))]));
    assert_eq!(status, 1);
    assert!(words.contains("no service of any host"), "{words}");
}

#[test]
fn a_host_that_was_named_and_never_seen_is_not_waited_for_and_fails() {
    let well = host(Some(&["web"]), &[said("web", Outcome::Succeeded)]);
    let mut status = status(&[("pi", well), ("nas", host(Some(&[]), &[]))]);
    status.intent.hosts = ["pi", "pj"].map(|name| name.parse().unwrap()).to_vec();
    let (status, words) = end(&View::of(&status));
    assert_eq!(status, 1);
    assert!(words.contains("pj has not been seen"), "{words}");
    assert!(
        !words.contains("nas"),
        "others have nothing to say: {words}"
    );
}

#[test]
fn only_what_has_changed_is_news_and_a_weak_gate_is_told() {
    let waiting = view(&[
        ("pi", host(Some(&["web"]), &[said("web", Outcome::Waiting)])),
        ("nas", host(None, &[])),
    ]);
    assert_eq!(
        waiting.news(None),
        [
            "nas: has not acknowledged it, last heard of 1970-01-01T00:00:00Z",
            "pi web: waiting: because"
        ]
    );
    assert_eq!(waiting.news(Some(&waiting)), Vec::<String>::new());
    let weak = Report {
        gate: Some(Gate::Weak),
        ..said("web", Outcome::Succeeded)
    };
    let done = view(&[
        ("pi", host(Some(&["web"]), &[weak])),
        ("nas", host(None, &[])),
    ]);
    assert_eq!(
        done.news(Some(&waiting)),
        ["pi web: succeeded (weak: no health check says more): because"]
    );
    assert_eq!(done.lines(2).len(), 2);
}

#[test]
fn where_not_all_lines_have_room_those_that_are_not_over_come_first() {
    let done = host(Some(&["web"]), &[said("web", Outcome::Succeeded)]);
    let view = view(&[
        ("a", done.clone()),
        ("b", done.clone()),
        ("c", host(None, &[])),
        ("d", done),
        ("e", host(Some(&["web"]), &[])),
    ]);
    let begin = |most| {
        let lines = view.lines(most);
        let begin = lines
            .iter()
            .map(|line| line.split(':').next().unwrap().to_owned());
        begin.collect::<Vec<_>>()
    };
    assert_eq!(begin(5), ["a web", "b web", "c", "d web", "e web"]);
    let cut = ["c", "e web", "a web", "and 2 more that have ended"];
    assert_eq!(begin(4), cut);
    assert_eq!(begin(2), ["c", "and 4 more, 1 of which have not ended"]);
    assert_eq!(begin(1), ["and 5 more, 2 of which have not ended"]);
}

#[test]
fn the_relay_is_asked_less_often_with_time_and_never_sooner_than_it_wants() {
    let seconds = |followed, wanted: Option<u64>| {
        pause(
            Duration::from_secs(followed),
            wanted.map(Duration::from_secs),
        )
        .as_secs()
    };
    assert_eq!([0, 40, 60, 900].map(|at| seconds(at, None)), [2, 4, 5, 5]);
    assert_eq!(seconds(0, Some(30)), 30);
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let all = [
        "waiting",
        "applying",
        "succeeded",
        "unchanged",
        "rolled_back",
        "failed_untouched",
        "needs_operator",
        "superseded",
        "stale",
        "expired",
        "quarantined",
        "refused",
    ];
    proptest::sample::select(all.to_vec())
        .prop_map(|name| serde_json::from_value(name.into()).unwrap())
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(vec!["api", "db", "web"], 0..=3)
}

fn hosts() -> impl Strategy<Value = HostStatus> {
    let reports = proptest::collection::btree_map(0..3usize, outcomes(), 0..=3);
    (proptest::option::of(names()), reports).prop_map(|(matched, reports)| {
        let of = |(at, outcome): (usize, Outcome)| said(["api", "db", "web"][at], outcome);
        let reports: Vec<_> = reports.into_iter().map(of).collect();
        host(matched.as_deref(), &reports)
    })
}

fn statuses() -> impl Strategy<Value = IntentStatus> {
    proptest::collection::btree_map(
        proptest::sample::select(vec!["pi", "nas", "edge"]),
        hosts(),
        0..=3,
    )
    .prop_map(|hosts: BTreeMap<&str, HostStatus>| status(&hosts.into_iter().collect::<Vec<_>>()))
}

proptest! {
    /// The end is neither early nor missed, and 0 only where all that was meant is well.
    #[test]
    fn it_is_over_exactly_when_all_have_acknowledged_and_ended(status in statuses()) {
        let view = View::of(&status);
        let terminal = |report: Option<&Report>| report.and_then(|one| one.outcome).is_some_and(Outcome::is_terminal);
        let over = status.hosts.values().all(|host| {
            let Some(matched) = &host.matched else { return false };
            matched.iter().all(|name| terminal(host.services.get(name)))
                && host.services.values().all(|report| terminal(Some(report)))
        });
        prop_assert_eq!(view.is_over(), over);
        let why = if over { Enough::Over } else { Enough::TimedOut(Duration::from_secs(1)) };
        let exit = view.conclusion(why, false).ending.status();
        let reports: Vec<_> = status.hosts.values().flat_map(|host| host.services.values()).filter_map(|one| one.outcome).collect();
        let any = |bad: &[Outcome]| reports.iter().any(|outcome| bad.contains(outcome));
        let expected = if any(&[Outcome::NeedsOperator]) {
            4
        } else if any(&[Outcome::RolledBack, Outcome::FailedUntouched, Outcome::Quarantined, Outcome::Refused]) {
            3
        } else {
            u8::from(!over || reports.is_empty())
        };
        prop_assert_eq!(exit, expected, "{:?}", reports);
    }

    /// Whoever reads the news alone knows as much as who sees all lines.
    #[test]
    fn the_news_bring_the_lines_before_up_to_date(before in statuses(), after in statuses()) {
        let (before, after) = (View::of(&before), View::of(&after));
        let (news, old) = (after.news(Some(&before)), before.lines(99));
        for line in after.lines(99) {
            prop_assert!(news.contains(&line) || old.contains(&line));
        }
        prop_assert!(news.iter().all(|line| !old.contains(line)));
    }
}
