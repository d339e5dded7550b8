//! What runs as each service, by the last deploy that took effect, and what was told to be wrong with it.
//!
//! A row is written together with the end of its deploy (`journal`), and what is wrong together with the report that tells it.

use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use towline_protocol::{IntentId, Report, ServiceName, Side};

use super::{Store, StoreError, row, spool};
use crate::{compose::Placed, sequence::Revision, version::VersionId};

const RUNNING: &str = "running";

/// What runs as a service, by the last deploy that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Commit and digest.
    pub side: Side,
    /// What it is known by, if it is known by more than its digest.
    #[serde(default)]
    pub version: Option<VersionId>,
    /// What was told of it to commands and projects, if it has such.
    #[serde(default)]
    pub revision: Option<Revision>,
    /// What of its Compose project was in place then, if it has one and that is known.
    #[serde(default)]
    pub placed: Option<Placed>,
    /// The intent that brought it; `None` when an operator went back to what no deploy of ours had brought.
    pub intent: Option<IntentId>,
    /// Since when.
    pub since: Timestamp,
    /// What is wrong with it, as far as that was told.
    #[serde(default)]
    pub unwell: Option<Unwell>,
}

/// What is wrong with a version that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwell {
    /// What was seen.
    pub what: String,
    /// When it was first seen.
    pub since: Timestamp,
}

impl Running {
    /// What it is known by, if that is known.
    pub fn version(&self) -> Option<VersionId> {
        let of_image = || self.side.digest.clone().map(VersionId::Digest);
        self.version.clone().or_else(of_image)
    }
}

impl Store {
    /// What runs as `service`, as far as a deploy of ours has brought it.
    ///
    /// # Errors
    /// When the database refuses or the row is damaged.
    pub fn running(&self, service: &ServiceName) -> Result<Option<Running>, StoreError> {
        row::get(&self.db, RUNNING, service.as_str())
    }

    /// Keeps what is wrong with what runs as `service`, or that nothing is any more, together with the report that tells it.
    ///
    /// # Errors
    /// When the database refuses or the row is damaged; it was not told then.
    pub fn note_unwell(
        &mut self,
        service: &ServiceName,
        unwell: Option<Unwell>,
        report: Option<&Report>,
    ) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        if let Some(running) = row::get::<Running>(&tx, RUNNING, service.as_str())? {
            note(&tx, service, &Running { unwell, ..running })?;
        }
        if let Some(report) = report {
            spool::push(&tx, report)?;
        }
        Ok(tx.commit()?)
    }
}

/// Keeps what runs.
pub(super) fn note(
    db: &Connection,
    service: &ServiceName,
    running: &Running,
) -> Result<(), StoreError> {
    row::put(db, RUNNING, service.as_str(), running)
}
