//! When the keys are fetched.

use super::*;
use crate::oidc::cache::{Cache, FRESH_MS, Next, PAUSE_MS, RETRY_MS, STALE_MS, TIMEOUT_MS};

const START: u64 = 1_795_186_000_000;

/// One that fetched the keys at `START`.
fn filled() -> Cache {
    let mut cache = Cache::new();
    assert_eq!(cache.next("one", START), Next::Fetch);
    cache.begin(START);
    cache.end(Some(key_set()), START);
    cache
}

fn known() -> Next {
    Next::Use(key_set().find("one").cloned().unwrap())
}

#[test]
fn a_known_key_is_used_without_a_fetch_until_it_is_old() {
    let cache = filled();
    assert_eq!(cache.next("one", START), known());
    assert_eq!(cache.next("one", START + FRESH_MS - 1), known());
    assert_eq!(cache.next("one", START + FRESH_MS), Next::Fetch);
}

#[test]
fn an_unknown_key_is_looked_for_at_most_once_a_minute() {
    let mut cache = filled();
    assert_eq!(cache.next("new", START + PAUSE_MS - 1), Next::Unknown);
    let later = START + PAUSE_MS;
    assert_eq!(cache.next("new", later), Next::Fetch);
    cache.begin(later);
    cache.end(Some(key_set()), later);
    assert_eq!(cache.next("new", later + 1), Next::Unknown);
    assert_eq!(cache.next("newer", later + PAUSE_MS - 1), Next::Unknown);
}

#[test]
fn whoever_comes_during_a_fetch_waits_for_it_unless_its_key_is_there() {
    let mut cache = filled();
    let later = START + FRESH_MS;
    cache.begin(later);
    assert_eq!(cache.next("one", later + 1), known());
    assert_eq!(cache.next("new", later + 1), Next::Wait);
    let mut empty = Cache::new();
    empty.begin(START);
    assert_eq!(empty.next("one", START), Next::Wait);
    assert_eq!(empty.next("one", START + TIMEOUT_MS + 1), Next::Fetch);
}

#[test]
fn a_fetch_that_began_and_never_ended_is_no_try_and_is_made_again_by_one() {
    let mut cache = filled();
    let later = START + PAUSE_MS;
    assert_eq!(cache.next("new", later), Next::Fetch);
    cache.begin(later);
    assert_eq!(cache.next("new", later + TIMEOUT_MS), Next::Wait);
    let lost = later + TIMEOUT_MS + 1;
    assert_eq!(cache.next("one", lost), known());
    assert_eq!(cache.next("new", lost), Next::Fetch);
    cache.begin(lost);
    assert_eq!(cache.next("new", lost), Next::Wait);
    cache.end(Some(key_set()), lost);
    assert_eq!(cache.next("new", lost + PAUSE_MS - 1), Next::Unknown);
}

#[test]
fn an_issuer_that_is_down_costs_nothing_for_an_hour() {
    let mut cache = filled();
    let later = START + STALE_MS - 1;
    cache.begin(later);
    cache.end(None, later);
    assert_eq!(cache.next("one", later), known());
    assert_eq!(cache.next("one", later + 1), Next::Unavailable);
    assert_eq!(cache.next("one", later + RETRY_MS), Next::Fetch);
}

#[test]
fn those_who_waited_for_a_fetch_that_failed_do_not_fetch_one_after_the_other() {
    let mut cache = Cache::new();
    cache.begin(START);
    assert_eq!(cache.next("one", START + TIMEOUT_MS), Next::Wait);
    let failed = START + TIMEOUT_MS;
    cache.end(None, failed);
    assert_eq!(cache.next("one", failed), Next::Unavailable);
    assert_eq!(cache.next("one", failed + RETRY_MS), Next::Fetch);
}

#[test]
fn a_key_that_was_taken_back_is_gone_with_the_next_fetch() {
    let mut cache = filled();
    let later = START + FRESH_MS;
    let set = json!({ "keys": [jwk("two", &KEYS[1])] }).to_string();
    cache.begin(later);
    cache.end(KeySet::read(&set).ok(), later);
    assert_eq!(cache.next("one", later), Next::Unknown);
}

proptest! {
    #[test]
    fn however_often_it_is_asked_it_fetches_no_more_than_once_a_minute(
        steps in proptest::collection::vec((0u64..20_000, any::<bool>(), any::<bool>()), 1..200),
    ) {
        let (mut cache, mut now, mut fetches) = (filled(), START, Vec::new());
        for (pause, new, works) in steps {
            now += pause;
            if cache.next(if new { "new" } else { "one" }, now) == Next::Fetch {
                fetches.push(now);
                cache.begin(now);
                cache.end(works.then(key_set), now);
            }
        }
        let held = |pair: &[u64]| pair[1] - pair[0] >= PAUSE_MS || pair[1] - START >= STALE_MS;
        prop_assert!(fetches.windows(2).all(held), "{:?}", fetches);
    }
}
