//! The store on SQLite itself.

use std::rc::Rc;

use jiff::Timestamp;

use super::*;
use crate::{hub::sql::memory::Memory, testing::candidate};

fn store(db: &Memory) -> Store {
    Store::open(Rc::new(db.clone()), 1000).unwrap()
}

fn commit(store: &Store, cause: &str) -> Committed {
    store
        .commit(
            candidate("octo-org/web", cause),
            1000,
            Timestamp::UNIX_EPOCH,
        )
        .unwrap()
}

#[test]
fn a_cause_is_numbered_once_however_often_it_comes() {
    let store = store(&Memory::new().unwrap());
    let first = commit(&store, "run 1");
    let again = commit(&store, "run 1");
    assert_eq!((first.seq, first.duplicate), (1, false));
    assert_eq!((again.seq, again.duplicate, again.id), (1, true, first.id));
    assert_eq!(commit(&store, "run 2").seq, 2);
}

#[test]
fn a_commit_that_is_given_up_leaves_no_number_behind() {
    let db = Memory::new().unwrap();
    let store = store(&db);
    let given_up: Result<(), _> = db.transaction(|| {
        commit(&store, "run 1");
        Err(failed("the alarm cannot be set"))
    });
    assert!(given_up.is_err());
    assert_eq!(store.find("run 1").unwrap(), None);
    assert_eq!(commit(&store, "run 2").seq, 1);
}

#[test]
fn a_hub_that_is_started_anew_goes_on_with_its_numbers_and_its_epoch() {
    let db = Memory::new().unwrap();
    commit(&store(&db), "run 1");
    let anew = Store::open(Rc::new(db), 5000).unwrap();
    assert_eq!(anew.created_ms(), 1000);
    assert_eq!(commit(&anew, "run 2").seq, 2);
    assert_eq!(anew.due().unwrap().len(), 1);
}
