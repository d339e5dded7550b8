//! What is lost and asked for again, when, and how long.

use super::*;

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
