//! Writing down how far a deploy has come before each of its calls. The journal may become unwritable in the middle.

use crate::{
    machine::Deploy,
    sequence::Sequence,
    store::{JournalEntry, Store, StoreError},
};

/// A deploy of any kind, as the journal has it.
pub(super) trait Recorded: Clone + PartialEq {
    /// The journal's text.
    fn text(&self) -> String;

    /// How it goes on when it cannot be recorded any more; `recorded` is how it was recorded last.
    fn unrecorded(self, recorded: &Self, why: String) -> Self;
}

impl Recorded for Deploy {
    fn text(&self) -> String {
        self.to_journal().unwrap_or_default()
    }

    fn unrecorded(self, recorded: &Self, why: String) -> Self {
        Self::unrecorded(self, recorded, why)
    }
}

impl Recorded for Sequence {
    fn text(&self) -> String {
        self.to_journal().unwrap_or_default()
    }

    fn unrecorded(self, recorded: &Self, why: String) -> Self {
        Self::unrecorded(self, recorded, why)
    }
}

/// The journal of one deploy.
pub(super) struct Journal<T> {
    /// The deploy as it was recorded last; `None` before the first record.
    recorded: Option<T>,
    lost: bool,
}

impl<T: Recorded> Journal<T> {
    /// The journal that holds `recorded` already, or nothing.
    pub(super) fn after(recorded: Option<T>) -> Self {
        let lost = false;
        Self { recorded, lost }
    }

    /// Records the deploy; returns how it goes on.
    pub(super) fn keep(
        &mut self,
        store: &mut Store,
        entry: &mut JournalEntry,
        deploy: T,
    ) -> Result<T, StoreError> {
        if self.lost || self.recorded.as_ref() == Some(&deploy) {
            return Ok(deploy);
        }
        match (self.write(store, entry, &deploy), &self.recorded) {
            (Ok(()), _) => Ok(deploy),
            (Err(error), None) => Err(error),
            (Err(error), Some(recorded)) => {
                self.lost = true;
                let why = format!("the journal could not be written: {error}");
                Ok(deploy.unrecorded(recorded, why))
            }
        }
    }

    /// Makes sure that the deploy is on record, also after an earlier write has failed.
    pub(super) fn insist(
        &mut self,
        store: &mut Store,
        entry: &mut JournalEntry,
        deploy: &T,
    ) -> Result<(), StoreError> {
        if self.recorded.as_ref() == Some(deploy) {
            return Ok(());
        }
        self.write(store, entry, deploy)
    }

    /// Writes the deploy down as it is now. A disk that takes this takes more.
    pub(super) fn write(
        &mut self,
        store: &mut Store,
        entry: &mut JournalEntry,
        deploy: &T,
    ) -> Result<(), StoreError> {
        entry.body = deploy.text();
        store.write_journal(entry)?;
        self.recorded = Some(deploy.clone());
        self.lost = false;
        Ok(())
    }
}
