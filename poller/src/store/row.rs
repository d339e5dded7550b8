//! A row as it lies in the database: format, checksum, JSON.
//!
//! The checksum covers the table and the key, so that a row that was moved or cut is seen as damaged, too.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::StoreError;

/// The rows' format.
const FORMAT: u8 = 1;

/// How much of the SHA-256 is kept: this is against damage, not against forgers.
const SUM: usize = 8;

/// Writes `value` at `key`, over what was there.
pub(super) fn put(
    db: &Connection,
    table: &str,
    key: &str,
    value: &impl Serialize,
) -> Result<(), StoreError> {
    let sealed = seal(table, key, value)?;
    db.prepare_cached(&format!(
        "INSERT OR REPLACE INTO {table} (key, row) VALUES (?1, ?2)"
    ))?
    .execute(params![key, sealed])?;
    Ok(())
}

/// What is at `key`.
pub(super) fn get<T: DeserializeOwned>(
    db: &Connection,
    table: &str,
    key: &str,
) -> Result<Option<T>, StoreError> {
    let row: Option<Vec<u8>> = db
        .prepare_cached(&format!("SELECT row FROM {table} WHERE key = ?1"))?
        .query_row([key], |row| row.get(0))
        .optional()?;
    row.map(|row| open(table, key, &row)).transpose()
}

/// Everything whose key begins with `prefix`, in the order of the keys.
pub(super) fn all<T: DeserializeOwned>(
    db: &Connection,
    table: &str,
    prefix: &str,
) -> Result<Vec<(String, T)>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT key, row FROM {table} WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key"
    ))?;
    let rows = query.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (key, row): (String, Vec<u8>) = row?;
        let value = open(table, &key, &row)?;
        Ok((key, value))
    })
    .collect()
}

/// Removes what is at `key`.
pub(super) fn delete(db: &Connection, table: &str, key: &str) -> Result<(), StoreError> {
    db.prepare_cached(&format!("DELETE FROM {table} WHERE key = ?1"))?
        .execute([key])?;
    Ok(())
}

/// A row to be written at `key` of `table`.
pub(crate) fn seal(table: &str, key: &str, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_vec(value).map_err(|error| damaged(table, key, error.to_string()))?;
    let mut sealed = vec![FORMAT];
    sealed.extend(sum(table, key, &json));
    sealed.extend(json);
    Ok(sealed)
}

/// What [`seal`] was given, if nothing was changed since.
pub(crate) fn open<T: DeserializeOwned>(
    table: &str,
    key: &str,
    sealed: &[u8],
) -> Result<T, StoreError> {
    let damaged = |problem: &str| damaged(table, key, problem.to_owned());
    let (format, rest) = sealed.split_first().ok_or_else(|| damaged("empty"))?;
    if *format > FORMAT {
        return Err(StoreError::Newer {
            what: format!("state.db: {table} {key}"),
            found: i64::from(*format),
        });
    }
    let (sum_found, json) = rest
        .split_at_checked(SUM)
        .ok_or_else(|| damaged("cut short"))?;
    if *format != FORMAT || sum_found != sum(table, key, json) {
        return Err(damaged("wrong checksum"));
    }
    serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))
}

fn sum(table: &str, key: &str, json: &[u8]) -> [u8; SUM] {
    let mut hash = Sha256::new();
    for part in [table.as_bytes(), key.as_bytes(), json] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

fn damaged(table: &str, key: &str, problem: String) -> StoreError {
    StoreError::Corrupt {
        what: format!("state.db: {table} {key}"),
        problem,
    }
}
