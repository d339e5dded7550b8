//! A lost delivery beside later ones of its stream: what it is compared with, and whose turn it is.

use super::*;

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
