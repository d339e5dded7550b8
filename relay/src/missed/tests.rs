//! Looks at a hook's attempts, as GitHub would list them.

use jiff::Timestamp;

use super::*;
use crate::{
    gate::Gate,
    settings::{self, Var},
};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const NOW: u64 = 100 * 24 * HOUR;

fn gate() -> Gate {
    settings::gate(&|name: &str| match name {
        "gate" => Var::Json(r#"{"sources": ["workflow_run", "push"]}"#.to_owned()),
        _ => Var::Absent,
    })
    .unwrap()
}

/// An attempt so many milliseconds ago.
fn attempt(guid: &str, ago_ms: u64, status: u16) -> Delivery {
    let at = i64::try_from(NOW - ago_ms).unwrap();
    Delivery {
        id: NOW - ago_ms,
        guid: guid.to_owned(),
        delivered_at: Timestamp::from_millisecond(at).unwrap(),
        status_code: Some(status),
        redelivery: false,
        event: "workflow_run".to_owned(),
        action: None,
        repository_id: Some(1),
    }
}

/// A push to a repository so many milliseconds ago.
fn push(guid: &str, repository: u64, ago_ms: u64, status: u16) -> Delivery {
    Delivery {
        event: "push".to_owned(),
        repository_id: Some(repository),
        ..attempt(guid, ago_ms, status)
    }
}

fn again(delivery: Delivery) -> Delivery {
    Delivery {
        redelivery: true,
        ..delivery
    }
}

/// The later deliveries that a waiting one is compared with, by when they were.
fn rivals(look: &Look, guid: &str) -> Vec<u64> {
    let one = look.waiting.iter().find(|one| one.guid == guid);
    let rivals = one.unwrap().rivals.iter();
    rivals.map(|rival| NOW - rival.delivered_ms).collect()
}

fn page(deliveries: Vec<Delivery>, next: Option<&str>) -> Page {
    let next = next.map(str::to_owned);
    Page { deliveries, next }
}

/// A look at these attempts, which are all that there are.
fn looked(look: Look, now_ms: u64, deliveries: Vec<Delivery>) -> Look {
    let mut scan = look.scan(now_ms);
    assert_eq!(scan.next_page(), Some(None));
    scan.read(page(deliveries, None), &gate());
    assert_eq!(scan.next_page(), None);
    scan.end()
}

fn guids(missed: &[Missed]) -> Vec<&str> {
    missed.iter().map(|one| one.guid.as_str()).collect()
}

#[test]
fn what_arrived_in_any_attempt_is_not_asked_for() {
    let look = looked(
        Look::default(),
        NOW,
        vec![
            attempt("again", HOUR, 202),
            attempt("at once", 2 * HOUR, 200),
            attempt("again", 3 * HOUR, 502),
        ],
    );
    assert!(look.waiting.is_empty());
    assert_eq!(look.seen_ms, NOW);
}

#[test]
fn what_never_arrived_is_asked_for_oldest_first() {
    let look = looked(
        Look::default(),
        NOW,
        vec![
            attempt("timeout", HOUR, 0),
            attempt("down", 2 * HOUR, 502),
            attempt("no route", 3 * HOUR, 404),
            attempt("refused", 3 * HOUR, 401),
        ],
    );
    assert_eq!(guids(&look.due(NOW)), ["no route", "down", "timeout"]);
}

#[test]
fn a_delivery_that_may_be_under_way_is_given_a_minute() {
    let look = looked(Look::default(), NOW, vec![attempt("new", 1000, 0)]);
    assert!(look.due(NOW).is_empty());
    assert_eq!(look.due(NOW + MINUTE).len(), 1);
}

#[test]
fn an_event_that_makes_no_intents_is_left_alone() {
    let of = |event: &str| Delivery {
        event: event.to_owned(),
        ..attempt(event, HOUR, 502)
    };
    let deliveries = vec![of("ping"), of("release"), of("workflow_run")];
    let look = looked(Look::default(), NOW, deliveries);
    assert_eq!(guids(&look.waiting), ["workflow_run"]);
}

#[test]
fn pauses_grow_and_three_days_end_it() {
    let mut look = looked(Look::default(), NOW, vec![attempt("down", HOUR, 502)]);
    let (mut now, mut asked) = (NOW, Vec::new());
    while look.expire(now).is_empty() {
        if !look.due(now).is_empty() {
            look.asked("down", now);
            asked.push((now - NOW) / MINUTE);
        }
        now += MINUTE;
    }
    assert_eq!(asked, [0, 10, 40, 130, 400, 1210, 2650, 4090]);
    assert!(look.waiting.is_empty());
}

#[test]
fn what_was_asked_for_and_arrived_is_forgotten_and_what_failed_again_keeps_its_pause() {
    let lost = vec![attempt("a", HOUR, 502), attempt("b", HOUR, 502)];
    let mut look = looked(Look::default(), NOW, lost);
    look.asked("a", NOW);
    look.asked("b", NOW);
    let later = vec![attempt("a", 0, 202), attempt("b", 0, 503)];
    let look = looked(look, NOW + 5 * MINUTE, later);
    assert_eq!(guids(&look.waiting), ["b"]);
    assert_eq!(look.waiting[0].attempt, NOW, "the newest attempt");
    assert!(look.due(NOW + 5 * MINUTE).is_empty());
    assert_eq!(guids(&look.due(NOW + 10 * MINUTE)), ["b"]);
}

#[test]
fn an_attempt_that_the_relay_refused_on_purpose_ends_it() {
    let look = looked(Look::default(), NOW, vec![attempt("a", HOUR, 502)]);
    let look = looked(
        look,
        NOW + MINUTE,
        vec![attempt("a", 0, 401), attempt("a", HOUR, 502)],
    );
    assert!(look.waiting.is_empty());
}

#[test]
fn a_look_goes_back_to_the_last_one_and_a_little_beyond() {
    let look = Look {
        seen_ms: NOW - HOUR,
        ..Look::default()
    };
    let mut scan = look.scan(NOW);
    let late = attempt("listed late", HOUR + 5 * MINUTE, 502);
    let old = attempt("settled", HOUR + 11 * MINUTE, 502);
    scan.read(page(vec![late, old], Some("older")), &gate());
    assert_eq!(scan.next_page(), None, "what is older is settled");
    assert_eq!(guids(&scan.end().waiting), ["listed late"]);
}

#[test]
fn nothing_is_looked_for_beyond_githubs_three_days() {
    let mut scan = Look::default().scan(NOW);
    let old = attempt("too old", 73 * HOUR, 502);
    scan.read(page(vec![old], Some("older")), &gate());
    assert_eq!(scan.next_page(), None);
    assert!(scan.end().waiting.is_empty());
}

#[test]
fn a_look_that_breaks_off_goes_on_where_it_was_and_has_seen_nothing_before_its_end() {
    let mut scan = Look::default().scan(NOW);
    scan.read(page(vec![attempt("a", HOUR, 502)], Some("page 2")), &gate());
    let look = scan.end();
    assert_eq!((look.seen_ms, guids(&look.waiting)), (0, vec!["a"]));
    let mut scan = look.scan(NOW + 5 * MINUTE);
    assert_eq!(scan.next_page(), Some(Some("page 2")));
    scan.read(page(vec![attempt("b", 2 * HOUR, 502)], None), &gate());
    let look = scan.end();
    assert_eq!(guids(&look.waiting), ["a", "b"]);
    assert_eq!(
        (look.seen_ms, look.unfinished),
        (NOW, None),
        "since it began"
    );
}

#[test]
fn a_cursor_that_github_does_not_know_any_more_begins_the_look_anew() {
    let look = Look {
        unfinished: Some(Unfinished {
            cursor: "lost".to_owned(),
            began_ms: NOW - HOUR,
            overflown: true,
            arrived_of: BTreeMap::new(),
            ended: BTreeMap::new(),
        }),
        ..Look::default()
    };
    let mut scan = look.scan(NOW);
    scan.begin_anew(NOW);
    assert_eq!(scan.next_page(), Some(None));
    scan.read(page(vec![], None), &gate());
    assert_eq!(scan.end().seen_ms, NOW);
}

#[test]
fn more_than_can_wait_is_found_again_when_some_have_gone() {
    let down = |n: u64| attempt(&format!("{n:03}"), HOUR + n, 502);
    let all = || (0..320).map(down).collect::<Vec<_>>();
    let look = looked(Look::default(), NOW, all());
    assert_eq!((look.waiting.len(), look.seen_ms), (300, 0));
    let arrived = (0..50).map(|n| attempt(&format!("{n:03}"), 0, 202));
    let look = looked(look, NOW + MINUTE, arrived.chain(all()).collect());
    assert_eq!((look.waiting.len(), look.seen_ms), (270, NOW + MINUTE));
}

#[test]
fn a_lost_push_is_compared_with_the_later_ones_of_its_repository_that_arrived() {
    let listed = vec![
        push("lost later", 1, MINUTE, 502),
        push("latest", 1, HOUR, 202),
        push("later", 1, HOUR + MINUTE, 200),
        push("of another", 2, 2 * HOUR, 502),
        push("lost", 1, 2 * HOUR, 502),
        attempt("a run", 2 * HOUR, 502),
        push("earlier", 1, 3 * HOUR, 202),
    ];
    let mut look = looked(Look::default(), NOW, listed);
    assert_eq!(rivals(&look, "lost"), [HOUR, HOUR + MINUTE]);
    for alone in ["lost later", "of another", "a run"] {
        assert!(rivals(&look, alone).is_empty(), "{alone}");
    }
    look.unlike("lost", NOW - HOUR);
    let look = looked(look, NOW + MINUTE, vec![push("latest", 1, HOUR, 202)]);
    let lost = look.waiting.iter().find(|one| one.guid == "lost").unwrap();
    assert_eq!(lost.rivals(), [NOW - HOUR - MINUTE], "read once");
}

#[test]
fn what_was_given_up_makes_room_and_does_not_wait_again_when_it_is_seen_once_more() {
    let listed = || {
        vec![
            push("other branch", 1, 2 * MINUTE, 502),
            push("lost", 1, 3 * MINUTE, 502),
        ]
    };
    let mut look = looked(Look::default(), NOW, listed());
    let mut asked = BTreeSet::new();
    let lost = look.next(NOW, &asked).unwrap();
    look.give_up(&lost);
    let other = look.next(NOW, &asked).unwrap();
    assert_eq!([lost.guid, other.guid.clone()], ["lost", "other branch"]);
    asked.insert(other.stream);
    assert_eq!(look.next(NOW, &asked), None, "one of a stream");
    let look = looked(look, NOW + 5 * MINUTE, listed());
    assert_eq!(guids(&look.waiting), ["other branch"]);
    let look = looked(look, NOW + 15 * MINUTE, vec![]);
    assert!(look.given_up.is_empty(), "it cannot be seen again");
}

#[test]
fn what_arrives_late_is_as_old_as_its_first_attempt_and_overtakes_nothing_newer() {
    let lost = vec![
        push("b", 1, 11 * MINUTE, 502),
        push("a", 1, 31 * MINUTE, 502),
    ];
    let mut look = looked(Look::default(), NOW, lost);
    look.asked("a", NOW);
    let now = NOW + 5 * MINUTE;
    // The first attempt of a is longer ago than this look goes back.
    let came = vec![again(push("a", 1, 0, 202)), push("b", 1, 11 * MINUTE, 502)];
    let look = looked(look, now, came);
    assert_eq!(guids(&look.due(now)), ["b"]);
    assert!(rivals(&look, "b").is_empty());
}

#[test]
fn a_newer_one_that_arrives_late_counts_for_an_older_one() {
    let lost = vec![push("b", 1, HOUR, 502), push("a", 1, 2 * HOUR, 502)];
    let mut look = looked(Look::default(), NOW, lost);
    look.asked("b", NOW);
    let came = vec![again(push("b", 1, 0, 202))];
    let look = looked(look, NOW + 5 * MINUTE, came);
    assert_eq!(rivals(&look, "a"), [HOUR]);
}

#[test]
fn a_repetition_whose_first_attempt_is_out_of_sight_overtakes_nothing() {
    let listed = vec![
        again(push("by hand", 1, MINUTE, 202)),
        push("lost", 1, HOUR, 502),
    ];
    let look = looked(Look::default(), NOW, listed);
    assert!(rivals(&look, "lost").is_empty());
}

#[test]
fn a_later_push_counts_in_a_look_of_several_runs() {
    let mut scan = Look::default().scan(NOW);
    let later = vec![push("later", 1, HOUR, 202)];
    scan.read(page(later, Some("page 2")), &gate());
    let mut scan = scan.end().scan(NOW + 5 * MINUTE);
    scan.read(page(vec![push("lost", 1, 2 * HOUR, 502)], None), &gate());
    assert_eq!(rivals(&scan.end(), "lost"), [HOUR]);
}

#[test]
fn what_came_again_is_not_taken_for_lost_in_a_later_run_of_the_same_look() {
    let mut scan = Look::default().scan(NOW);
    let repeated = vec![
        again(push("came", 1, MINUTE, 202)),
        again(push("refused", 1, MINUTE, 401)),
        again(push("lost", 1, MINUTE, 502)),
    ];
    scan.read(page(repeated, Some("page 2")), &gate());
    let kept = serde_json::to_string(&scan.end()).unwrap();
    let look: Look = serde_json::from_str(&kept).unwrap();
    let mut scan = look.scan(NOW + 5 * MINUTE);
    let first = ["came", "refused", "lost", "older"];
    let first = (1..).zip(first);
    let first = first
        .map(|(n, guid)| push(guid, 1, n * HOUR, 502))
        .collect();
    scan.read(page(first, None), &gate());
    let look = scan.end();
    assert_eq!(guids(&look.waiting), ["lost", "older"]);
    assert_eq!(look.waiting[0].attempt, NOW - MINUTE, "the newest attempt");
    assert_eq!(look.waiting[0].delivered_ms, NOW - 3 * HOUR);
    assert_eq!(rivals(&look, "older"), [HOUR]);
}

#[test]
fn the_newest_twenty_are_compared_with() {
    let later = (1..=50).map(|n| push(&format!("{n}"), 1, n * MINUTE, 202));
    let listed = later.chain([push("lost", 1, HOUR, 502)]).collect();
    let look = looked(Look::default(), NOW, listed);
    let newest: Vec<_> = (1..=20).map(|n| n * MINUTE).collect();
    assert_eq!(rivals(&look, "lost"), newest);
}

#[test]
fn an_action_that_makes_no_intents_neither_waits_nor_arrives() {
    let gate = settings::gate(&|name: &str| match name {
        "gate" => Var::Json(r#"{"sources": ["workflow_run", "release"]}"#.to_owned()),
        _ => Var::Absent,
    });
    let of = |event: &str, action: &str, ago, status| Delivery {
        event: event.to_owned(),
        action: Some(action.to_owned()),
        ..attempt(&format!("{event} {action}"), ago, status)
    };
    let listed = vec![
        of("release", "edited", MINUTE, 202),
        of("release", "released", HOUR, 502),
        of("workflow_run", "requested", HOUR, 502),
        of("release", "published", HOUR, 502),
    ];
    let mut scan = Look::default().scan(NOW);
    scan.read(page(listed, None), &gate.unwrap());
    let look = scan.end();
    assert_eq!(guids(&look.waiting), ["release published"]);
    assert!(rivals(&look, "release published").is_empty());
}

#[test]
fn lost_pushes_of_a_repository_are_asked_for_one_after_another() {
    let lost = vec![
        push("second", 1, HOUR, 502),
        push("first", 1, 2 * HOUR, 502),
        push("of another", 2, HOUR, 502),
    ];
    let mut look = looked(Look::default(), NOW, lost);
    assert_eq!(guids(&look.due(NOW)), ["first", "of another"]);
    look.asked("first", NOW);
    look.asked("of another", NOW);
    assert_eq!(guids(&look.due(NOW + 5 * MINUTE)), ["second"]);
}

#[test]
fn the_hook_that_has_waited_longest_has_the_first_turn() {
    let hooks: Vec<Hook> = ["octo-org/a/1", "octo-org/b/2", "octo-org/c/3"]
        .iter()
        .map(|hook| hook.parse().unwrap())
        .collect();
    let turn = |turn_ms| Look {
        turn_ms,
        ..Look::default()
    };
    let looks = BTreeMap::from([
        ("octo-org/a/1".to_owned(), turn(9)),
        ("octo-org/b/2".to_owned(), turn(7)),
    ]);
    let order: Vec<_> = turns(hooks, &looks).iter().map(Hook::to_string).collect();
    assert_eq!(order, ["octo-org/c/3", "octo-org/b/2", "octo-org/a/1"]);
}

#[test]
fn a_pause_is_heeded_to_its_end() {
    let look = Look {
        paused_until_ms: NOW,
        ..Look::default()
    };
    assert!(look.is_paused(NOW - 1) && !look.is_paused(NOW));
}
