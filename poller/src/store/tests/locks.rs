//! What holds deploys of a service off outlives the process, and never its time.

use super::*;
use crate::{
    lock::{Length, Lock},
    uptime::{Moment, Uptime},
};

/// So many seconds after a start of the system.
fn up(seconds: u64) -> Moment {
    Moment {
        at: Timestamp::UNIX_EPOCH,
        up: Uptime {
            boot: "a".to_owned(),
            ms: seconds * 1000,
        },
    }
}

/// Taken at the system's start for so many seconds.
fn lock(name: &str, length: u64) -> Lock {
    Lock {
        name: name.parse().unwrap(),
        reason: None,
        since: up(0),
        length: Length::try_from(length).unwrap(),
    }
}

fn names(store: &Store, service: &str, now: &Moment) -> Vec<String> {
    let locks = store.locks().of(&service.parse().unwrap(), now).unwrap();
    locks.iter().map(|lock| lock.name.to_string()).collect()
}

#[test]
fn what_is_held_off_is_so_still_after_opening_again_and_only_by_its_name_and_for_its_time() {
    let dir = filled();
    let mut locks = Store::open(dir.path()).unwrap().locks();
    for (service, one) in [
        ("web", lock("dump", 60)),
        ("web", lock("operator", 600)),
        ("web-2", lock("dump", 600)),
    ] {
        locks.put(&service.parse().unwrap(), &one, &up(0)).unwrap();
    }
    drop(locks);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(names(&store, "web", &up(59)), ["dump", "operator"]);
    assert_eq!(names(&store, "web", &up(60)), ["operator"]);
    let all = store.locks().all(&up(60)).unwrap();
    assert_eq!(
        all.keys().map(ServiceName::as_str).collect::<Vec<_>>(),
        ["web", "web-2"]
    );
    let operator = lock("operator", 600).name;
    let mut locks = store.locks();
    locks.remove(&web(), [&operator].into_iter()).unwrap();
    assert_eq!(names(&store, "web", &up(0)), ["dump"]);
    assert_eq!(names(&store, "web-2", &up(0)), ["dump"]);
}

#[test]
fn what_is_over_goes_when_another_lock_is_taken() {
    let dir = filled();
    let store = Store::open(dir.path()).unwrap();
    let mut locks = store.locks();
    locks.put(&web(), &lock("dump", 60), &up(0)).unwrap();
    locks.put(&web(), &lock("later", 600), &up(61)).unwrap();
    assert_eq!(names(&store, "web", &up(0)), ["later"]);
}

#[test]
fn sweeping_takes_what_is_over_as_it_is_stored_and_leaves_what_was_taken_again_by_the_same_name() {
    let dir = filled();
    let store = Store::open(dir.path()).unwrap();
    let mut locks = store.locks();
    locks.put(&web(), &lock("dump", 60), &up(0)).unwrap();
    locks.put(&web(), &lock("operator", 60), &up(0)).unwrap();
    let again = Lock {
        since: up(50),
        ..lock("dump", 60)
    };
    locks.put(&web(), &again, &up(50)).unwrap();
    locks.sweep(&up(61)).unwrap();
    assert_eq!(names(&store, "web", &up(0)), ["dump"]);
    locks.sweep(&up(110)).unwrap();
    assert_eq!(names(&store, "web", &up(0)), [""; 0]);
}

#[test]
fn a_lock_is_taken_while_the_rest_of_the_store_is_written_and_counts_as_a_change() {
    let dir = filled();
    let mut store = Store::open(dir.path()).unwrap();
    let mut locks = store.locks();
    let before = store.changes();
    locks.put(&web(), &lock("dump", 60), &up(0)).unwrap();
    assert!(store.changes() > before);
    store.write_journal(&entry("0b0b0b0b", "{}")).unwrap();
    locks.put(&web(), &lock("operator", 60), &up(0)).unwrap();
    assert_eq!(names(&store, "web", &up(1)), ["dump", "operator"]);
    assert_eq!(store.open_journals().unwrap().len(), 2);
}

#[test]
fn a_lock_that_is_damaged_is_told_and_holds_nobody_off_in_silence() {
    let dir = filled();
    let store = Store::open(dir.path()).unwrap();
    let mut locks = store.locks();
    locks.put(&web(), &lock("dump", 60), &up(0)).unwrap();
    drop((store, locks));
    change(&dir, "UPDATE lock SET row = x'00'");
    let store = Store::open(dir.path()).unwrap();
    for error in [
        store.locks().of(&web(), &up(0)).map(drop).unwrap_err(),
        store.locks().all(&up(0)).map(drop).unwrap_err(),
    ] {
        let told = error.to_string();
        assert!(told.contains("lock web/dump is damaged"), "{told}");
    }
}
