//! Versions that failed here, which are not tried again by themselves, and services that an operator took back.
//!
//! What may be tried all the same is decided by `select`.

use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use towline_protocol::{Channel, IntentId, Mark, ServiceName, Sha};

use super::{Store, StoreError, inbox, row};
use crate::version::VersionId;

/// How many versions of a service are held, those of the newest intents.
const HELD: usize = 100;

const QUARANTINE: &str = "quarantine";
const HOLD: &str = "hold";

/// A version that failed with a service, or that an operator has left on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The version; until layout 3 of the state it was always a digest, and called so.
    #[serde(alias = "digest")]
    pub version: VersionId,
    /// The commit that it was to be, if one was known.
    #[serde(default)]
    pub sha: Option<Sha>,
    /// The intent that it failed with; `None` when it was left and no intent had brought it.
    #[serde(default)]
    pub intent: Option<IntentId>,
    /// The channel of `place`.
    pub channel: Channel,
    /// Intents of `channel` up to this one never try the version again.
    pub place: Mark,
    /// Since when.
    pub since: Timestamp,
    /// Why, for people.
    pub why: String,
    /// Whether an operator left it on purpose.
    #[serde(default)]
    pub on_purpose: bool,
}

/// A service that an operator took back to an earlier version: it stays there until a newer intent comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The channel of `place`.
    pub channel: Channel,
    /// The newest intent that was known then; up to it none is applied any more.
    pub place: Mark,
    /// Since when.
    pub since: Timestamp,
    /// What for, for people.
    pub why: String,
}

impl Store {
    /// The versions that are not tried again with `service`, in the order of their names.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn quarantine(&self, service: &ServiceName) -> Result<Vec<Quarantined>, StoreError> {
        let rows = row::all(&self.db, QUARANTINE, &prefix(service))?;
        Ok(rows.into_iter().map(|(_, one)| one).collect())
    }

    /// The versions that `intent` has to be judged by: none, if an operator has asked for its next try.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn barred(
        &self,
        service: &ServiceName,
        intent: &IntentId,
    ) -> Result<Vec<Quarantined>, StoreError> {
        if inbox::is_asked(&self.db, service, intent)? {
            return Ok(Vec::new());
        }
        self.quarantine(service)
    }

    /// What `service` was taken back for, if it was.
    ///
    /// # Errors
    /// When the database refuses or the row is damaged.
    pub fn hold(&self, service: &ServiceName) -> Result<Option<Hold>, StoreError> {
        row::get(&self.db, HOLD, service.as_str())
    }

    /// Lets `intent` be tried once more with `service`, as a further attempt if the last one has ended: no quarantine
    /// keeps a version from this try, and the service is not held. One transaction.
    ///
    /// # Errors
    /// When the database refuses; nothing has changed then.
    pub fn try_again(
        &mut self,
        service: &ServiceName,
        intent: &IntentId,
    ) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        end_hold(&tx, service)?;
        inbox::again(&tx, service, intent)?;
        Ok(tx.commit()?)
    }
}

/// Adds a version, and lets the ones go that only intents of long ago could ask for.
pub(super) fn add(
    db: &Connection,
    service: &ServiceName,
    failed: &Quarantined,
) -> Result<(), StoreError> {
    let own = key(service, &failed.version);
    row::put(db, QUARANTINE, &own, failed)?;
    let mut others: Vec<(String, Quarantined)> = row::all(db, QUARANTINE, &prefix(service))?;
    others.retain(|(key, _)| *key != own);
    others.sort_by_key(|(_, one)| std::cmp::Reverse(one.place));
    for (key, _) in others.iter().skip(HELD - 1) {
        row::delete(db, QUARANTINE, key)?;
    }
    Ok(())
}

/// The version has proved itself.
pub(super) fn clear(
    db: &Connection,
    service: &ServiceName,
    version: &VersionId,
) -> Result<(), StoreError> {
    row::delete(db, QUARANTINE, &key(service, version))
}

pub(super) fn set_hold(
    db: &Connection,
    service: &ServiceName,
    hold: &Hold,
) -> Result<(), StoreError> {
    row::put(db, HOLD, service.as_str(), hold)
}

pub(super) fn end_hold(db: &Connection, service: &ServiceName) -> Result<(), StoreError> {
    row::delete(db, HOLD, service.as_str())
}

fn prefix(service: &ServiceName) -> String {
    format!("{service}/")
}

fn key(service: &ServiceName, version: &VersionId) -> String {
    format!("{service}/{version}")
}
