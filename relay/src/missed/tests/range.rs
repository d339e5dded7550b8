//! How far a look goes back, and in how many runs.

use super::*;

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
