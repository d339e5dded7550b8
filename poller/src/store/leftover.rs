//! Old containers whose removal the engine refused after a deploy, so that it is tried again.

use super::{Store, StoreError, row};
use crate::machine::Leftover;

const LEFTOVER: &str = "leftover";

impl Store {
    /// The old containers that should have been removed.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn leftovers(&self) -> Result<Vec<Leftover>, StoreError> {
        let rows = row::all(&self.db, LEFTOVER, "")?;
        Ok(rows.into_iter().map(|(_, leftover)| leftover).collect())
    }

    /// Forgets one: it is gone, or somebody else's by now.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn forget_leftover(&mut self, id: &str) -> Result<(), StoreError> {
        row::delete(&self.db, LEFTOVER, id)
    }
}

/// Keeps one in mind.
pub(super) fn add(db: &rusqlite::Connection, leftover: &Leftover) -> Result<(), StoreError> {
    row::put(db, LEFTOVER, &leftover.id, leftover)
}
