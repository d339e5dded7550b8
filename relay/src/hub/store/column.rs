//! Values into SQL and out of it, each with the type that its column has.

use jiff::Timestamp;

use crate::error::Fault;
pub(super) use crate::hub::sql::{Row, Value};

pub(super) fn number(value: u64) -> Result<Value, Fault> {
    Value::number(value)
}

pub(super) fn text(value: &impl ToString) -> Value {
    Value::Text(value.to_string())
}

pub(super) fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

pub(super) fn time(row: &[Value], at: usize) -> Result<Timestamp, Fault> {
    let millis = i64::try_from(int(row, at)?).map_err(failed)?;
    Timestamp::from_millisecond(millis).map_err(failed)
}

pub(super) fn int(row: &[Value], at: usize) -> Result<u64, Fault> {
    match row.get(at) {
        Some(Value::Integer(value)) => u64::try_from(*value).map_err(failed),
        other => Err(failed(format!("column {at} is {other:?} and not a number"))),
    }
}

pub(super) fn string(row: &[Value], at: usize) -> Result<&str, Fault> {
    match row.get(at) {
        Some(Value::Text(value)) => Ok(value),
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
