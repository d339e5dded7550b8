//! Marks, the intents that were received, and how each stands with each service.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use towline_protocol::{Channel, Intent, IntentId, Mark, Outcome, Report, ServiceName};

use super::{Store, StoreError, history, row, spool};
use crate::{select::Seen, uptime::Waited};

const MARK: &str = "mark";
const INTENT: &str = "intent";
const SEEN: &str = "seen";
const STANDING: &str = "standing";
const BLOCKED: &str = "blocked";

/// How many intents of a channel are kept for services to come and to know repeats by.
const KEPT: usize = 64;

/// How an intent stands with a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Counts the tries, from 1.
    pub attempt: u32,
    /// How the last try stands or ended.
    pub outcome: Outcome,
    /// When this try was first begun.
    pub since: Timestamp,
    /// How long it has waited for its image.
    #[serde(default)]
    pub waited: Waited,
    /// Whether it is to be tried once more though the last try has ended.
    #[serde(default)]
    pub again: bool,
    /// Whether an operator has asked for this try, from which no quarantine keeps a version.
    #[serde(default)]
    pub asked: bool,
    /// How many tries in a row ended by an interruption.
    #[serde(default)]
    pub interruptions: u32,
    /// The service before it whose failure has ended the last try before anything was begun.
    #[serde(default)]
    pub stopped_by: Option<ServiceName>,
    /// What was said about it.
    #[serde(default)]
    pub why: String,
}

/// What the tries of an intent have come to, beside how the last one ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tries {
    /// Whether it is to be tried once more.
    pub again: bool,
    /// How many in a row ended by an interruption.
    pub interruptions: u32,
    /// How long the last one has waited for its image.
    pub waited: Waited,
    /// The service before it whose failure has ended the last one before anything was begun.
    pub stopped_by: Option<ServiceName>,
}

impl Store {
    /// How far `channel` was read; `None` when the relay has never answered for it.
    ///
    /// # Errors
    /// When the database refuses or the row is damaged.
    pub fn mark(&self, channel: &Channel) -> Result<Option<Mark>, StoreError> {
        row::get(&self.db, MARK, channel.as_str())
    }

    /// The intents of `channel` that are kept, ascending by epoch and number.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn intents(&self, channel: &Channel) -> Result<Vec<Intent>, StoreError> {
        intents(&self.db, channel)
    }

    /// Takes in new intents, moves the mark, and spools for each intent the report by which the host acknowledges it:
    /// one transaction, so that each is acknowledged once.
    ///
    /// # Errors
    /// When the database refuses; nothing has happened then.
    pub fn receive(
        &mut self,
        channel: &Channel,
        mark: Mark,
        intents: &[Intent],
        acknowledgement: impl Fn(&Intent) -> Report,
    ) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        row::put(&tx, MARK, channel.as_str(), &mark)?;
        for intent in intents {
            row::put(&tx, INTENT, &intent_key(intent), intent)?;
            spool::push(&tx, &acknowledgement(intent))?;
        }
        Ok(tx.commit()?)
    }

    /// The intent of this id, if it is kept.
    ///
    /// # Errors
    /// When the database refuses or the row is damaged.
    pub fn intent(&self, id: &IntentId) -> Result<Option<Intent>, StoreError> {
        intent(&self.db, id)
    }

    /// What `service` has seen; `None` for a new one.
    ///
    /// # Errors
    /// When the database refuses or the row is damaged.
    pub fn seen(&self, service: &ServiceName) -> Result<Option<Seen>, StoreError> {
        row::get(&self.db, SEEN, service.as_str())
    }

    /// How the intents stand that `service` has to do with.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn standings(
        &self,
        service: &ServiceName,
    ) -> Result<BTreeMap<IntentId, Standing>, StoreError> {
        let prefix = format!("{service}/");
        let rows = row::all(&self.db, STANDING, &prefix)?;
        rows.into_iter()
            .map(|(key, standing)| {
                let id = key.get(prefix.len()..).unwrap_or_default();
                let id = id.parse().map_err(|_| StoreError::Corrupt {
                    what: format!("state.db: {STANDING} {key}"),
                    problem: "not an intent".to_owned(),
                })?;
                Ok((id, standing))
            })
            .collect()
    }

    /// Keeps what was decided for `service`: what it has seen, and the intents that were settled without touching
    /// anything, whose reports are spooled. One transaction.
    ///
    /// # Errors
    /// When the database refuses; nothing was decided then.
    pub fn settle(
        &mut self,
        service: &ServiceName,
        seen: &Seen,
        reports: &[Report],
    ) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        row::put(&tx, SEEN, service.as_str(), seen)?;
        for report in reports {
            note(&tx, report, &Tries::default())?;
            history::add_end(&tx, report)?;
            spool::push(&tx, report)?;
        }
        Ok(tx.commit()?)
    }

    /// Keeps that the failure of the service `before` has ended a try, of which `report` tells, before anything was begun. One
    /// transaction.
    ///
    /// # Errors
    /// When the database refuses; nothing has changed then.
    pub fn stop_behind(&mut self, before: &ServiceName, report: &Report) -> Result<(), StoreError> {
        let tries = Tries {
            stopped_by: Some(before.clone()),
            ..Tries::default()
        };
        let tx = self.db.transaction()?;
        note(&tx, report, &tries)?;
        history::add_end(&tx, report)?;
        spool::push(&tx, report)?;
        Ok(tx.commit()?)
    }

    /// Keeps how long `intent` has waited with `service`, and what for, if it waits.
    ///
    /// # Errors
    /// When the database refuses or the row is damaged.
    pub fn keep_waiting(
        &mut self,
        service: &ServiceName,
        intent: &IntentId,
        waited: Waited,
        why: String,
    ) -> Result<(), StoreError> {
        let key = standing_key(service, intent);
        let Some(standing) = row::get::<Standing>(&self.db, STANDING, &key)? else {
            return Ok(());
        };
        let standing = Standing {
            waited,
            why,
            ..standing
        };
        row::put(&self.db, STANDING, &key, &standing)
    }

    /// Forgets intents of `channel` that are far behind the newest, unless `is_open` says that somebody has still to
    /// judge them, by how they stand with each service, or one is to be tried again.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn prune(
        &mut self,
        channel: &Channel,
        is_open: impl Fn(&Intent, &BTreeMap<ServiceName, Outcome>) -> bool,
    ) -> Result<(), StoreError> {
        let kept: usize = self
            .db
            .query_row("SELECT count(*) FROM intent", [], |row| {
                row.get::<_, u32>(0)
            })?
            .try_into()
            .unwrap_or(usize::MAX);
        if kept <= KEPT {
            return Ok(());
        }
        let mark = self.mark(channel)?.unwrap_or_default();
        let tx = self.db.transaction()?;
        let mut standings: BTreeMap<String, BTreeMap<ServiceName, Outcome>> = BTreeMap::new();
        let mut again = BTreeSet::new();
        for (key, standing) in row::all::<Standing>(&tx, STANDING, "")? {
            let (service, id) = key.split_once('/').unwrap_or_default();
            if standing.again {
                again.insert(id.to_owned());
            }
            if let Ok(service) = service.parse() {
                let of_it = standings.entry(id.to_owned()).or_default();
                of_it.insert(service, standing.outcome);
            }
        }
        let none = BTreeMap::new();
        for intent in intents(&tx, channel)?.iter().rev().skip(KEPT) {
            // What lies behind a gap would be received again.
            if (intent.epoch, intent.seq) > (mark.epoch, mark.seq) {
                continue;
            }
            let of_it = standings.get(intent.id.as_str()).unwrap_or(&none);
            if !again.contains(intent.id.as_str()) && !is_open(intent, of_it) {
                row::delete(&tx, INTENT, &intent_key(intent))?;
                for service in of_it.keys() {
                    row::delete(&tx, STANDING, &standing_key(service, &intent.id))?;
                }
            }
        }
        Ok(tx.commit()?)
    }

    /// The intent since which an operator is needed for `service`, if one is.
    ///
    /// # Errors
    /// When the database refuses or the row is damaged.
    pub fn blocked(&self, service: &ServiceName) -> Result<Option<IntentId>, StoreError> {
        row::get(&self.db, BLOCKED, service.as_str())
    }

    /// The operator has seen to `service`. Says whether one was needed.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn resolve(&mut self, service: &ServiceName) -> Result<bool, StoreError> {
        let blocked = self.blocked(service)?.is_some();
        row::delete(&self.db, BLOCKED, service.as_str())?;
        Ok(blocked)
    }
}

fn standing_key(service: &ServiceName, intent: &IntentId) -> String {
    format!("{service}/{intent}")
}

fn intent_key(intent: &Intent) -> String {
    format!("{}@{}", intent.channel, intent.id)
}

fn intents(db: &Connection, channel: &Channel) -> Result<Vec<Intent>, StoreError> {
    let rows = row::all::<Intent>(db, INTENT, &format!("{channel}@"))?;
    let mut intents: Vec<_> = rows.into_iter().map(|(_, intent)| intent).collect();
    intents.sort_by_key(|intent| (intent.epoch, intent.seq));
    Ok(intents)
}

/// The intent of this id, whatever its channel.
pub(super) fn intent(db: &Connection, id: &IntentId) -> Result<Option<Intent>, StoreError> {
    let key: Option<String> = db
        .prepare_cached("SELECT key FROM intent WHERE substr(key, -length(?1)) = ?1 LIMIT 1")?
        .query_row([format!("@{id}")], |row| row.get(0))
        .optional()?;
    key.map_or(Ok(None), |key| row::get(db, INTENT, &key))
}

/// Keeps how an intent stands.
pub(super) fn note(db: &Connection, report: &Report, tries: &Tries) -> Result<(), StoreError> {
    let (Some(service), Some(outcome)) = (&report.service, report.outcome) else {
        return Ok(());
    };
    let key = standing_key(service, &report.intent);
    let before: Option<Standing> = row::get(db, STANDING, &key)?;
    let goes_on = tries.again || !outcome.is_terminal();
    let standing = Standing {
        attempt: report.attempt,
        outcome,
        since: report.started_at,
        waited: tries.waited.clone(),
        again: tries.again,
        asked: goes_on && before.is_some_and(|before| before.asked),
        interruptions: tries.interruptions,
        stopped_by: tries.stopped_by.clone(),
        why: report.message.clone(),
    };
    row::put(db, STANDING, &key, &standing)?;
    if outcome == Outcome::NeedsOperator {
        row::put(db, BLOCKED, service.as_str(), &report.intent)?;
    }
    Ok(())
}

/// Whether an operator has asked for the try of `intent` that is next.
pub(super) fn is_asked(
    db: &Connection,
    service: &ServiceName,
    intent: &IntentId,
) -> Result<bool, StoreError> {
    let standing: Option<Standing> = row::get(db, STANDING, &standing_key(service, intent))?;
    Ok(standing.is_some_and(|standing| standing.asked))
}

/// Has `intent` tried once more for an operator, whatever its last try ended as.
pub(super) fn again(
    db: &Connection,
    service: &ServiceName,
    intent: &IntentId,
) -> Result<(), StoreError> {
    let key = standing_key(service, intent);
    let Some(standing) = row::get::<Standing>(db, STANDING, &key)? else {
        return Ok(());
    };
    let standing = Standing {
        again: standing.outcome.is_terminal(),
        asked: true,
        interruptions: 0,
        ..standing
    };
    row::put(db, STANDING, &key, &standing)
}
