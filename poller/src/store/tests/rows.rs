//! Journal rows that lost their end, got a bit of another value, or lie in another's place.

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::json;

use super::{super::row, *};
use crate::{
    machine::{Action, Deploy, Event, Member},
    testing::{Broken, Property},
};

const TABLE: &str = "journal";

#[derive(Clone, Copy, Debug)]
enum Damage {
    /// This bit is another one, counted round.
    Bit(usize),
    /// No more than so many bytes are left, counted round.
    Cut(usize),
    /// It lies at another deploy's key.
    Moved,
}

/// How a row is read.
type Reader = fn(&str, &[u8]) -> Result<JournalEntry, StoreError>;

fn as_it_is(key: &str, sealed: &[u8]) -> Result<JournalEntry, StoreError> {
    row::open(TABLE, key, sealed)
}

/// Mutant: takes whatever is JSON of the right form.
fn skips_checksum(_: &str, sealed: &[u8]) -> Result<JournalEntry, StoreError> {
    let json = sealed.get(9..).unwrap_or_default();
    serde_json::from_slice(json).map_err(|error| StoreError::Corrupt {
        what: TABLE.to_owned(),
        problem: error.to_string(),
    })
}

/// Mutant: its checksum is over the content alone, as if every row had the same key.
fn forgets_key(_: &str, sealed: &[u8]) -> Result<JournalEntry, StoreError> {
    row::open(TABLE, KEY, sealed)
}

const KEY: &str = "0a1b2c3d";

/// A deploy that has come so far, with nothing in its way.
fn journal(steps: usize) -> JournalEntry {
    let member = |name: &str| Member {
        name: name.to_owned(),
        old: format!("{name}-old"),
        policy: json!({ "Name": "always", "MaximumRetryCount": 0 }),
        runs: true,
        was_healthy: true,
        was_restarting: false,
        tag: None,
    };
    let (from, to) = (Side::default(), Side::default());
    let members = vec![member("web"), member("worker")];
    let mut deploy = Deploy::new(KEY.to_owned(), members, from, to);
    for _ in 0..steps {
        let event = match deploy.next() {
            Some(Action::Create { name, .. }) => Event::Created { id: name },
            Some(Action::Look { .. }) => Event::Looked {
                starts: vec!["2026-11-20T15:00:00Z".to_owned(); 2],
                now: None,
            },
            Some(Action::Gate { .. }) => Event::Passed {
                gate: towline_protocol::Gate::Healthy,
            },
            Some(_) => Event::Done,
            None => break,
        };
        deploy = deploy.on(event);
    }
    entry(KEY, &deploy.to_journal().unwrap())
}

/// What reading the damaged row breaks.
fn broken(read: Reader, steps: usize, damage: Damage) -> Broken {
    let entry = journal(steps);
    let mut sealed = row::seal(TABLE, KEY, &entry).unwrap();
    let mut key = KEY;
    match damage {
        Damage::Bit(bit) => {
            let at = bit / 8 % sealed.len();
            sealed[at] ^= 1 << (bit % 8);
        }
        Damage::Cut(left) => sealed.truncate(left % sealed.len()),
        Damage::Moved => key = "ffffffff",
    }
    let read = match read(key, &sealed) {
        Ok(read) => read,
        Err(StoreError::Corrupt { .. } | StoreError::Newer { .. }) => return Broken::new(),
        Err(error) => return [(Property::DamageSeen, error.to_string())].into(),
    };
    if read == entry && key == KEY {
        return Broken::new();
    }
    let how = format!("{damage:?} makes of {entry:?} {read:?}");
    [(Property::DamageSeen, how)].into()
}

fn a_damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => any::<usize>().prop_map(Damage::Bit),
        2 => any::<usize>().prop_map(Damage::Cut),
        1 => Just(Damage::Moved),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_journal_row_that_is_damaged_anywhere_is_noticed_or_means_the_same(
        steps in 0usize..30, damage in a_damage(),
    ) {
        prop_assert_eq!(broken(as_it_is, steps, damage), Broken::new());
    }
}

#[test]
fn each_mistake_in_reading_a_row_lets_damage_pass() {
    let mut runner = TestRunner::deterministic();
    let strategy = (0usize..30, a_damage());
    let a_case = |_| strategy.new_tree(&mut runner).unwrap().current();
    let cases: Vec<_> = (0..500).map(a_case).collect();
    let is_broken = |read: Reader| {
        let mut cases = cases.iter();
        cases.any(|(steps, damage)| !broken(read, *steps, *damage).is_empty())
    };
    assert!(is_broken(skips_checksum) && is_broken(forgets_key));
    assert!(!is_broken(as_it_is));
}
