//! SQL as the store needs it: statements with values, rows one after another.
//!
//! Here alone the Durable Object's SQLite is named. Native tests run the same statements on SQLite itself
//! ([`memory`]). What a statement means is the store's, what makes several one unit the hub's.

use std::fmt;

use worker::{SqlStorage, SqlStorageValue};

use crate::error::Fault;

#[cfg(any(test, feature = "sqlite"))]
pub mod memory;

/// JavaScript's numbers are exact up to 2^53, which is enough for milliseconds and for counting.
const MAX_EXACT: i64 = (1 << 53) - 1;

/// What a column holds or a statement is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `NULL`
    Null,
    /// A whole number that JavaScript has too.
    Integer(i64),
    /// Text.
    Text(String),
}

/// One row of a result, or the values of a statement.
pub type Row = Vec<Value>;

/// A result, of which each row is read when it is asked for.
pub type Rows = Box<dyn Iterator<Item = Result<Row, Fault>>>;

/// Whoever runs statements.
pub trait Database: fmt::Debug {
    /// Runs one statement; its values stand for the `?` in it.
    ///
    /// # Errors
    /// When SQLite fails.
    fn run(&self, statement: &str, values: Row) -> Result<Rows, Fault>;
}

impl Database for SqlStorage {
    /// Raw rows: `SqlCursor::one` and `to_array` let a JavaScript exception through, which ends the
    /// whole object.
    fn run(&self, statement: &str, values: Row) -> Result<Rows, Fault> {
        let values: Vec<_> = values.into_iter().map(SqlStorageValue::from).collect();
        let cursor = self.exec(statement, values).map_err(failed)?;
        Ok(Box::new(cursor.raw().map(|row| {
            row.map_err(failed)?.into_iter().map(read).collect()
        })))
    }
}

impl Value {
    /// A number.
    ///
    /// # Errors
    /// When JavaScript has no such number.
    pub fn number(value: u64) -> Result<Self, Fault> {
        let value = i64::try_from(value)
            .ok()
            .filter(|value| *value <= MAX_EXACT);
        value
            .map(Self::Integer)
            .ok_or_else(|| failed("a number is over 2^53"))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<Value> for SqlStorageValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(value) => Self::Integer(value),
            Value::Text(value) => Self::String(value),
        }
    }
}

fn read(value: SqlStorageValue) -> Result<Value, Fault> {
    match value {
        SqlStorageValue::Null => Ok(Value::Null),
        SqlStorageValue::Integer(value) => Ok(Value::Integer(value)),
        SqlStorageValue::String(value) => Ok(Value::Text(value)),
        other @ (SqlStorageValue::Boolean(_)
        | SqlStorageValue::Float(_)
        | SqlStorageValue::Blob(_)) => Err(failed(format!(
            "{other:?} is neither a whole number nor text"
        ))),
    }
}

fn failed(error: impl fmt::Display) -> Fault {
    Fault::storage("SQL", error)
}
