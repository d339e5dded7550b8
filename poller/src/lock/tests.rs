use proptest::prelude::*;

use super::*;
use crate::uptime::Uptime;

fn at(boot: &str, up: u64, second: i64) -> Moment {
    Moment {
        at: Timestamp::from_second(second).unwrap(),
        up: Uptime {
            boot: boot.to_owned(),
            ms: up * 1000,
        },
    }
}

/// Taken by `name` at second 1000, 50 s after the system's start `a`, for a minute.
fn lock(name: &str, reason: Option<&str>) -> Lock {
    Lock {
        name: name.parse().unwrap(),
        reason: reason.map(|reason| reason.parse().unwrap()),
        since: at("a", 50, 1000),
        length: Length::try_from(60).unwrap(),
    }
}

fn seconds(now: &Moment) -> u64 {
    lock("dump", None).left(now).as_secs()
}

#[test]
fn it_counts_for_its_length_and_is_over_then() {
    assert_eq!(seconds(&at("a", 50, 1000)), 60);
    assert_eq!(seconds(&at("a", 70, 1020)), 40);
    assert!(lock("dump", None).is_on(&at("a", 109, 1059)));
    assert!(!lock("dump", None).is_on(&at("a", 110, 1060)));
}

#[test]
fn a_wall_clock_that_is_set_makes_it_neither_longer_nor_shorter_as_long_as_the_host_stays_on() {
    for second in [0, 5, 1_000_000] {
        assert_eq!(seconds(&at("a", 80, second)), 30, "{second}");
        assert_eq!(seconds(&at("a", 111, second)), 0, "{second}");
    }
}

#[test]
fn it_outlives_a_start_of_the_system_by_the_wall_clock() {
    assert_eq!(seconds(&at("b", 5, 1040)), 20);
    assert_eq!(seconds(&at("b", 5, 1061)), 0);
}

#[test]
fn after_a_start_with_a_wall_clock_that_was_set_back_it_ends_at_its_length_all_the_same() {
    assert_eq!(seconds(&at("b", 5, 0)), 55);
    assert_eq!(seconds(&at("b", 61, 56)), 0);
}

#[test]
fn its_end_is_told_by_the_wall_clock_and_anew_where_that_was_set() {
    let second = |now: &Moment| lock("dump", None).until(now).as_second();
    assert_eq!(second(&at("a", 50, 1000)), 1060);
    assert_eq!(second(&at("a", 70, 1021)), 1060, "the same to the second");
    assert_eq!(second(&at("a", 70, 9000)), 9040);
}

#[test]
fn all_that_hold_a_service_off_are_told_and_the_last_one_says_how_long() {
    let now = at("a", 50, 1000);
    let longer = Lock {
        length: Length::try_from(600).unwrap(),
        ..lock("operator", None)
    };
    let both = [lock("dump", Some("nightly dump")), longer];
    assert_eq!(
        told(&both, &now).unwrap(),
        "held off by dump until 1970-01-01T00:17:40Z (nightly dump), and by operator until 1970-01-01T00:26:40Z"
    );
    assert_eq!(left(&both, &now), Some(Duration::from_secs(600)));
    assert_eq!((told(&[], &now), left(&[], &now)), (None, None));
    assert_eq!(left(&both[..1], &at("a", 200, 1150)), None);
}

#[test]
fn what_is_no_name_no_reason_or_no_length_is_refused() {
    let long = "x".repeat(64);
    for name in ["", "-a", "Ops", "a b", "a/b", "é", long.as_str()] {
        assert!(name.parse::<LockName>().is_err(), "{name:?}");
    }
    let long = "x".repeat(201);
    for reason in ["", "two\nlines", "\u{1b}[2J", long.as_str()] {
        assert!(reason.parse::<Reason>().is_err(), "{reason:?}");
    }
    for length in [0, LONGEST + 1, u64::MAX] {
        assert!(Length::try_from(length).is_err(), "{length}");
    }
    assert!(serde_json::from_str::<Length>("0").is_err());
    assert!("é".repeat(200).parse::<Reason>().is_ok());
}

proptest! {
    #[test]
    fn whatever_the_clocks_say_it_never_goes_on_for_longer_than_it_was_taken_for(
        same in any::<bool>(), up in 0u64..1_000_000, second in -1_000_000i64..1_000_000, length in 1..=LONGEST,
    ) {
        let lock = Lock { length: Length::try_from(length).unwrap(), ..lock("dump", None) };
        let left = |up| lock.left(&at(if same { "a" } else { "b" }, up, second));
        prop_assert!(left(up) <= Duration::from_secs(length));
        // However the wall clock stands still or jumps, the time that the host is on ends it.
        prop_assert!(left(up.max(50) + length).is_zero());
    }
}
