//! The open database. One thread, of which two ends share it: the loop, in the middle of a deploy too, and whoever takes note of
//! locks meanwhile ([`super::Locks`]).
//!
//! What belongs together is one transaction all the same: none is open while something is waited for, so that no other end
//! comes in between.

use std::{ops::Deref, rc::Rc};

use rusqlite::{Connection, Transaction};

/// The database, for one thread.
#[derive(Clone, Debug)]
pub(super) struct Db(Rc<Connection>);

impl Db {
    pub(super) fn of(connection: Connection) -> Self {
        Self(Rc::new(connection))
    }

    /// Begins a transaction. Within another one SQLite refuses it.
    pub(super) fn transaction(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.0.unchecked_transaction()
    }
}

impl Deref for Db {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}
