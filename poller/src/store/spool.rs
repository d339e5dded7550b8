//! The spool: reports that the relay has not acknowledged.
//!
//! A report's later phase takes the place of an earlier one under a new number, so that the acknowledgement of the
//! earlier one does not remove it. The numbers tell the relay which report was made later: they only grow, also where the
//! clock was set back, and go by the clock where a copy of an older state was put back, which knows of no later ones.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use towline_protocol::{Order, Report};

use super::{Store, StoreError, row};

const SPOOL: &str = "spool";

/// How many reports are kept that the relay will never take.
const PARKED: u32 = 100;

/// A report that waits for the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooled {
    /// Its number in the spool.
    pub id: i64,
    /// The report, with its place among the host's.
    pub report: Report,
}

#[cfg(test)]
impl Spooled {
    /// The report as it was spooled, without its place.
    pub(crate) fn made(self) -> Report {
        Report {
            order: None,
            ..self.report
        }
    }
}

impl Store {
    /// The first `limit` reports that wait to be sent: how deploys stand or ended before mere acknowledgements, each the
    /// oldest first.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn spooled(&self, limit: u32) -> Result<Vec<Spooled>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT id, key, row FROM spool WHERE parked IS NULL ORDER BY instr(key, '//') > 0, id LIMIT ?1",
        )?;
        let rows = query.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.map(|found| {
            let (id, key, sealed): (i64, String, Vec<u8>) = found?;
            let mut report: Report = row::open(SPOOL, &key, &sealed)?;
            report.order = Some(Order(number(id), 0));
            Ok(Spooled { id, report })
        })
        .collect()
    }

    /// The phase that waits to be sent of the same report as `report`; `None` when it was sent or put aside.
    ///
    /// # Errors
    /// When the database refuses or the row is damaged.
    pub fn unsent_phase(&self, report: &Report) -> Result<Option<Report>, StoreError> {
        let key = key(report);
        let sealed: Option<Vec<u8>> = self
            .db
            .prepare_cached("SELECT row FROM spool WHERE parked IS NULL AND key = ?1")?
            .query_row([&key], |row| row.get(0))
            .optional()?;
        sealed.map(|row| row::open(SPOOL, &key, &row)).transpose()
    }

    /// Has a report sent, in place of an earlier phase of the same.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn spool(&mut self, report: &Report) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        push(&tx, report)?;
        Ok(tx.commit()?)
    }

    /// The number that the spool gave last, whether or not its report was sent meanwhile. Where this process has given none,
    /// it is one just before all that it will give if the clock goes right: a state that was put back knows of no later ones.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn last_spooled(&self) -> Result<u64, StoreError> {
        let before = self.opened_at.as_millisecond().saturating_sub(1);
        Ok(number(last(&self.db)?.max(before)))
    }

    /// Forgets the reports that the relay has taken.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn acknowledge(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        for id in ids {
            tx.prepare_cached("DELETE FROM spool WHERE id = ?1")?
                .execute([id])?;
        }
        Ok(tx.commit()?)
    }

    /// Puts a report aside that the relay will never take, and why. The last 100 are kept.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn park(&mut self, id: i64, reason: &str) -> Result<(), StoreError> {
        self.db.execute(
            "UPDATE spool SET parked = ?2 WHERE id = ?1",
            params![id, reason],
        )?;
        self.db.execute(
            "DELETE FROM spool WHERE parked IS NOT NULL AND id NOT IN \
             (SELECT id FROM spool WHERE parked IS NOT NULL ORDER BY id DESC LIMIT ?1)",
            params![PARKED],
        )?;
        Ok(())
    }

    /// How many reports wait to be sent.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn unsent(&self) -> Result<u32, StoreError> {
        let count = "SELECT count(*) FROM spool WHERE parked IS NULL";
        Ok(self.db.query_row(count, [], |row| row.get(0))?)
    }

    /// How many reports were put aside.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn parked(&self) -> Result<u32, StoreError> {
        let count = "SELECT count(*) FROM spool WHERE parked IS NOT NULL";
        Ok(self.db.query_row(count, [], |row| row.get(0))?)
    }
}

/// Spools `report` in place of an earlier phase of the same.
pub(super) fn push(db: &Connection, report: &Report) -> Result<(), StoreError> {
    let key = key(report);
    let sealed = row::seal(SPOOL, &key, report)?;
    let id = next(last(db)?, Timestamp::now());
    row::delete(db, SPOOL, &key)?;
    db.prepare_cached("INSERT INTO spool (id, key, row) VALUES (?1, ?2, ?3)")?
        .execute(params![id, key, sealed])?;
    Ok(())
}

/// The number that was given last, by what this state knows.
fn last(db: &Connection) -> Result<i64, StoreError> {
    let last = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'spool'";
    Ok(db.query_row(last, [], |row| row.get(0))?)
}

/// The number of a report that is spooled `now`, after the one that has got `last`: the time in milliseconds, as long as it
/// goes on.
pub(super) fn next(last: i64, now: Timestamp) -> i64 {
    now.as_millisecond().max(last.saturating_add(1))
}

fn number(id: i64) -> u64 {
    u64::try_from(id).unwrap_or_default()
}

/// What a report is known by. Nothing stands between the slashes in the key of an acknowledgement.
fn key(report: &Report) -> String {
    let service = report.service.as_ref().map_or("", |name| name.as_str());
    format!("{}/{service}/{}", report.intent, report.attempt)
}
