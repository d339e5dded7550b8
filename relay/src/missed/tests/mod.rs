//! Looks at a hook's attempts, as GitHub would list them.

mod later;
mod lost;
mod range;

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
