//! SQLite in memory, for native tests: the same statements on the same engine, without a Durable Object.
//!
//! It promises what SQLite does. Clones are the same database, so that a hub can be started anew on it.

use std::rc::Rc;

use rusqlite::{Connection, types::Value as Theirs};

use super::{Database, Row, Rows, Value, failed};
use crate::error::Fault;

/// A database that ends with its last clone.
#[derive(Clone, Debug)]
pub struct Memory(Rc<Connection>);

impl Memory {
    /// An empty database.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn new() -> Result<Self, Fault> {
        let db = Connection::open_in_memory().map_err(failed)?;
        db.set_prepared_statement_cache_capacity(64);
        Ok(Self(Rc::new(db)))
    }

    /// Forgets every row, as if it were new: making the tables anew takes much longer.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn clear(&self) -> Result<(), Fault> {
        for table in self.run(
            "SELECT name FROM sqlite_master WHERE type = 'table'",
            vec![],
        )? {
            if let Some(Value::Text(table)) = table?.first() {
                drop(self.run(&format!("DELETE FROM {table}"), vec![])?);
            }
        }
        Ok(())
    }

    /// Runs `work` as one unit: when it fails, nothing of it has happened.
    ///
    /// # Errors
    /// What `work` fails with, or when SQLite fails.
    pub fn transaction<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let tx = self.0.unchecked_transaction().map_err(failed)?;
        let done = work()?;
        tx.commit().map_err(failed)?;
        Ok(done)
    }
}

impl Database for Memory {
    fn run(&self, statement: &str, values: Row) -> Result<Rows, Fault> {
        let mut statement = self.0.prepare_cached(statement).map_err(failed)?;
        let columns = statement.column_count();
        let values = rusqlite::params_from_iter(values.into_iter().map(Theirs::from));
        let mut rows = statement.query(values).map_err(failed)?;
        let mut read = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let row = (0..columns)
                .map(|at| ours(row.get(at).map_err(failed)?))
                .collect();
            read.push(row);
        }
        Ok(Box::new(read.into_iter()))
    }
}

impl From<Value> for Theirs {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(value) => Self::Integer(value),
            Value::Text(value) => Self::Text(value),
        }
    }
}

fn ours(value: Theirs) -> Result<Value, Fault> {
    match value {
        Theirs::Null => Ok(Value::Null),
        Theirs::Integer(value) => Ok(Value::Integer(value)),
        Theirs::Text(value) => Ok(Value::Text(value)),
        other @ (Theirs::Real(_) | Theirs::Blob(_)) => Err(failed(format!(
            "{other:?} is neither a whole number nor text"
        ))),
    }
}
