//! The journal: deploys under way, so that a crash in the middle is taken to its end.

use serde::{Deserialize, Serialize};
use towline_protocol::{IntentId, Report, ServiceName};

use super::{Running, Store, StoreError, inbox, row, spool};

const JOURNAL: &str = "journal";

/// A deploy under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The deploy's own name, 8 random hex digits, part of its containers' names.
    pub deploy: String,
    /// What is deployed.
    pub service: ServiceName,
    /// The cause.
    pub intent: IntentId,
    /// Counts the tries of this intent with this service, from 1.
    pub attempt: u32,
    /// How far it has come: JSON of the apply machine.
    pub body: String,
}

impl Store {
    /// Writes how far a deploy has come, over what was written before. Safe on disk when it returns.
    ///
    /// # Errors
    /// When the database refuses; the effect that was to be journalled must not happen then.
    pub fn write_journal(&mut self, entry: &JournalEntry) -> Result<(), StoreError> {
        row::put(&self.db, JOURNAL, &entry.deploy, entry)
    }

    /// The deploys that were not taken to their end.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn open_journals(&self) -> Result<Vec<JournalEntry>, StoreError> {
        let rows = row::all(&self.db, JOURNAL, "")?;
        Ok(rows.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Ends a deploy in one transaction: its journal is closed, its outcome kept, its report spooled, and what runs
    /// now is remembered.
    ///
    /// # Errors
    /// When the database refuses; the journal is open as before then.
    pub fn close_journal(
        &mut self,
        deploy: &str,
        report: &Report,
        running: Option<&Running>,
    ) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        row::delete(&tx, JOURNAL, deploy)?;
        inbox::note(&tx, report, running)?;
        spool::push(&tx, report)?;
        Ok(tx.commit()?)
    }

    /// Forgets a deploy that has touched nothing and of which nothing new is to be told.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn drop_journal(&mut self, deploy: &str) -> Result<(), StoreError> {
        row::delete(&self.db, JOURNAL, deploy)
    }
}
