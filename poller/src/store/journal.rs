//! The journal: deploys under way, so that a crash in the middle is taken to its end; and all that changes with an end.

use serde::{Deserialize, Serialize};
use towline_protocol::{Channel, IntentId, Mark, Report, ServiceName};

use super::{
    Hold, KeptRevision, Past, Quarantined, Running, Store, StoreError, Tries, history, inbox,
    leftover, quarantine, revisions, row, running, spool,
};
use crate::{machine::Leftover, uptime::Moment, version::VersionId};

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
    /// Set when it is a rollback that an operator asked for.
    #[serde(default)]
    pub on_purpose: Option<OnPurpose>,
    /// When it began; `None` when an older version has begun it.
    #[serde(default)]
    pub begun: Option<Moment>,
}

/// A rollback that an operator asked for: what has to be known at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnPurpose {
    /// The service's channel.
    pub channel: Channel,
    /// The newest intent of it that was known.
    pub known: Mark,
    /// The intent that had brought the version gone back to, if one had.
    pub brought: Option<IntentId>,
    /// Whether the entry's intent had brought the version that is left, so that the relay is to hear of it.
    pub is_reported: bool,
    /// The version that is left, if it is known; before layout 4 of the state it was the digest that is left.
    #[serde(default)]
    pub left: Option<VersionId>,
}

/// All that changes when a try has come to an end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct End {
    /// What the relay is told, and how the intent stands from then on.
    pub report: Option<Report>,
    /// What else the relay is told, of another intent that is in effect again.
    pub also: Option<Report>,
    /// What the history says where it is not the report.
    pub past: Option<Past>,
    /// What runs, if that has changed.
    pub running: Option<Running>,
    /// What it has brought of a service made of parts, which can be gone back to when somebody has replaced it by hand.
    pub kept: Option<KeptRevision>,
    /// Old containers that should have been removed and are still there.
    pub left: Vec<Leftover>,
    /// What the tries of the intent have come to.
    pub tries: Tries,
    /// A version that is not to be tried again.
    pub failed: Option<Quarantined>,
    /// A version that has proved itself.
    pub proved: Option<VersionId>,
    /// Whether the service is held from now on, or no longer.
    pub hold: HoldChange,
}

/// What becomes of a service's hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HoldChange {
    /// It stays as it is.
    #[default]
    Keep,
    /// The service is held.
    Begin(Hold),
    /// The service is not held any more.
    End,
}

impl End {
    /// An end that is nothing but its report.
    pub fn of(report: Report) -> Self {
        Self {
            report: Some(report),
            ..Self::default()
        }
    }
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

    /// Ends a deploy of `service` in one transaction: its journal is closed, and all that changes with it is kept.
    ///
    /// # Errors
    /// When the database refuses; the journal is open as before then.
    pub fn close_journal(
        &mut self,
        deploy: &str,
        service: &ServiceName,
        end: &End,
    ) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        row::delete(&tx, JOURNAL, deploy)?;
        if let Some(report) = &end.report {
            inbox::note(&tx, report, &end.tries)?;
            spool::push(&tx, report)?;
        }
        if let Some(report) = &end.also {
            inbox::note(&tx, report, &Tries::default())?;
            spool::push(&tx, report)?;
        }
        match (&end.past, &end.report) {
            (Some(past), _) => history::add(&tx, past)?,
            (None, Some(report)) => history::add_end(&tx, report)?,
            (None, None) => {}
        }
        for leftover in &end.left {
            leftover::add(&tx, leftover)?;
        }
        if let Some(running) = &end.running {
            running::note(&tx, service, running)?;
        }
        if let Some(kept) = &end.kept {
            revisions::keep(&tx, service, kept)?;
        }
        if let Some(version) = &end.proved {
            quarantine::clear(&tx, service, version)?;
        }
        if let Some(failed) = &end.failed {
            quarantine::add(&tx, service, failed)?;
        }
        match &end.hold {
            HoldChange::Keep => {}
            HoldChange::Begin(hold) => quarantine::set_hold(&tx, service, hold)?,
            HoldChange::End => quarantine::end_hold(&tx, service)?,
        }
        #[cfg(feature = "failpoints")]
        crate::failpoint::reach("ended.before");
        tx.commit()?;
        #[cfg(feature = "failpoints")]
        crate::failpoint::reach("ended.after");
        Ok(())
    }
}
