//! Values into SQL and out of it, each with the type that its column has.

use jiff::Timestamp;
use worker::SqlStorageValue as Value;

use crate::error::Fault;

/// One row of a result, or the values of a statement.
pub(super) type Row = Vec<Value>;

/// JavaScript's numbers are exact up to 2^53, which is enough for milliseconds and for counting.
pub(super) fn number(value: u64) -> Result<Value, Fault> {
    let value = i64::try_from(value).map_err(failed)?;
    Value::try_from_i64(value).map_err(failed)
}

pub(super) fn text(value: &impl ToString) -> Value {
    Value::String(value.to_string())
}

pub(super) fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

pub(super) fn int(row: &[Value], at: usize) -> Result<u64, Fault> {
    match row.get(at) {
        Some(Value::Integer(value)) => u64::try_from(*value).map_err(failed),
        other => Err(failed(format!("column {at} is {other:?} and not a number"))),
    }
}

pub(super) fn string(row: &[Value], at: usize) -> Result<&str, Fault> {
    match row.get(at) {
        Some(Value::String(value)) => Ok(value),
        other => Err(failed(format!("column {at} is {other:?} and not text"))),
    }
}

pub(super) fn parsed<T: std::str::FromStr<Err = towline_protocol::NameError>>(
    row: &[Value],
    at: usize,
) -> Result<T, Fault> {
    string(row, at)?.parse().map_err(failed)
}

pub(super) fn body<T: serde::de::DeserializeOwned>(row: &[Value], at: usize) -> Result<T, Fault> {
    serde_json::from_str(string(row, at)?).map_err(failed)
}

pub(super) fn failed(error: impl std::fmt::Display) -> Fault {
    Fault::storage("SQL", error)
}
