//! The hub's database: SQLite itself, which fails when it is told to.

use std::cell::{Cell, RefCell};

use towline_relay::{
    error::Fault,
    hub::sql::{Database, Row, Rows, memory::Memory},
};

thread_local! {
    /// Databases of plays that are over. Making the tables takes longer than many a play.
    static SPARE: RefCell<Vec<Memory>> = const { RefCell::new(Vec::new()) };
}

/// The database, which fails when it is told to.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) memory: Memory,
    fails_after: Cell<Option<u32>>,
}

impl Sql {
    /// An empty database.
    pub(super) fn new() -> Self {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        let memory = spare.unwrap_or_else(|| Memory::new().unwrap());
        memory.clear().unwrap();
        Self {
            memory,
            fails_after: Cell::new(None),
        }
    }

    /// Does something as one unit that nothing hinders.
    pub(super) fn unhindered<T>(&self, look: impl FnOnce() -> T) -> T {
        let fails_after = self.fails_after.take();
        let seen = look();
        self.fails_after.set(fails_after);
        seen
    }

    pub(super) fn fail_after(&self, statements: u32) {
        self.fails_after.set(Some(statements));
    }

    pub(super) fn work(&self) {
        self.fails_after.set(None);
    }
}

impl Database for Sql {
    fn run(&self, statement: &str, values: Row) -> Result<Rows, Fault> {
        let left = self.fails_after.get();
        self.fails_after
            .set(left.and_then(|left| left.checked_sub(1)));
        if left == Some(0) {
            return Err(Fault::storage("SQL", "the world says so"));
        }
        self.memory.run(statement, values)
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        SPARE.with_borrow_mut(|spare| spare.push(self.memory.clone()));
    }
}
