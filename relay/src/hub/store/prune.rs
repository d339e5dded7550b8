//! What the hub forgets for its age, and how far its rounds through the tables have come.
//!
//! An intent and its cause go together, oldest first in each channel, never one of the mailbox's window.
//! The channel says so first (`pruned_before`), so that what breaks off in between is only kept longer.
//! Reports go once their intent is gone and they are old enough themselves, in rounds through the
//! table: only so are those found whose intent was never known here.

use towline_protocol::Channel;

use super::{
    Store,
    column::{int, number, parsed, string, text},
};
use crate::{
    error::Fault,
    mailbox::Numbers,
    upkeep::{self, Known, REPORTS_A_RUN, ROWS_OF_AN_INTENT},
};

/// A round through a table that takes many runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Through the channels, comparing their mailboxes.
    Mailboxes,
    /// Through the reports, by intent.
    Reports,
}

impl Round {
    fn name(self) -> &'static str {
        match self {
            Self::Mailboxes => "mailboxes",
            Self::Reports => "reports",
        }
    }
}

impl Store {
    /// Forgets intents that were committed before `cut_ms`, as many as `rows` pays for, and returns how
    /// many.
    ///
    /// # Errors
    /// When SQLite fails; what went before stays gone.
    pub fn prune_intents(&self, cut_ms: u64, rows: u64) -> Result<u64, Fault> {
        let mut left = rows / ROWS_OF_AN_INTENT;
        let mut gone: u64 = 0;
        for row in self.rows("SELECT name, head FROM channel", vec![])? {
            if left == 0 {
                break;
            }
            let newest = upkeep::newest_prunable(int(&row, 1)?);
            let (upto, count) = self.oldest(string(&row, 0)?, newest, cut_ms, left)?;
            if count > 0 {
                self.forget(string(&row, 0)?, upto)?;
            }
            left = left.saturating_sub(count);
            gone = gone.saturating_add(count);
        }
        Ok(gone)
    }

    /// The last `seq` of the channel's oldest intents that may go, and how many these are.
    fn oldest(
        &self,
        channel: &str,
        newest: u64,
        cut_ms: u64,
        most: u64,
    ) -> Result<(u64, u64), Fault> {
        let query = "SELECT seq, created_ms FROM intent WHERE channel = ? AND seq <= ? \
                     ORDER BY seq LIMIT ?";
        let (mut upto, mut count) = (0, 0);
        // Row by row: those after the first that stays are not read, and not billed.
        for row in self.cursor(query, vec![channel.into(), number(newest)?, number(most)?])? {
            let row = row?;
            if int(&row, 1)? >= cut_ms {
                break;
            }
            upto = int(&row, 0)?;
            count += 1;
        }
        Ok((upto, count))
    }

    fn forget(&self, channel: &str, upto: u64) -> Result<(), Fault> {
        let say = "UPDATE channel SET pruned_before = max(pruned_before, ?) WHERE name = ?";
        self.rows(say, vec![number(upto.saturating_add(1))?, channel.into()])?;
        let delete = "DELETE FROM intent WHERE channel = ? AND seq <= ?";
        self.rows(delete, vec![channel.into(), number(upto)?])
            .map(drop)
    }

    /// Forgets reports that came before `cut_ms` and whose intent is not known, at most `rows` of the
    /// next ones in the round, and returns how many.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn prune_reports(&self, cut_ms: u64, rows: u64) -> Result<u64, Fault> {
        let after = self.progress(Round::Reports)?;
        let page_end =
            "SELECT intent FROM report WHERE intent > ? ORDER BY intent LIMIT 1 OFFSET ?";
        let offset = number(REPORTS_A_RUN.saturating_sub(1))?;
        let end = self.row(page_end, vec![text(&after), offset])?;
        let end = end
            .map(|row| string(&row, 0).map(str::to_owned))
            .transpose()?;
        let upto = end.clone().unwrap_or_else(|| LAST.to_owned());
        let delete = "DELETE FROM report WHERE (intent, host, service, attempt) IN ( \
                          SELECT intent, host, service, attempt FROM report \
                          WHERE intent > ? AND intent <= ? AND received_ms < ? \
                          AND NOT EXISTS (SELECT 1 FROM intent WHERE id = report.intent) LIMIT ?) \
                      RETURNING 1";
        let values = vec![text(&after), text(&upto), number(cut_ms)?, number(rows)?];
        let gone = self.rows(delete, values)?.len() as u64;
        // What did not fit is found again in the same place.
        if gone < rows {
            self.set_progress(Round::Reports, &end.unwrap_or_default())?;
        }
        Ok(gone)
    }

    /// The next channels in the round, and what their mailboxes should be. Until [`Self::compared`] they stay the next.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn next_mailboxes(&self, most: u64) -> Result<Vec<(Channel, Known)>, Fault> {
        let query = "SELECT name, epoch, head, pruned_before, written, \
                         coalesce((SELECT created_ms FROM intent WHERE channel = name AND seq = head), 0) \
                     FROM channel WHERE name > ? ORDER BY name LIMIT ?";
        let after = self.progress(Round::Mailboxes)?;
        let rows = self.rows(query, vec![text(&after), number(most)?])?;
        let known = rows.iter().map(|row| {
            let numbers = Numbers {
                epoch: int(row, 1)?,
                head: int(row, 2)?,
                pruned_before: int(row, 3)?,
            };
            let known = Known {
                numbers,
                written: int(row, 4)?,
                newest_ms: int(row, 5)?,
            };
            Ok((parsed(row, 0)?, known))
        });
        known.collect()
    }

    /// Goes on in the round behind this channel; with `None` the round begins anew.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn compared(&self, upto: Option<&Channel>) -> Result<(), Fault> {
        self.set_progress(Round::Mailboxes, upto.map_or("", Channel::as_str))
    }

    /// Gives a channel another epoch, and so its intents, which take it from the channel when they are read: pollers
    /// then fetch them all and know those that they have by their ids.
    ///
    /// # Errors
    /// When SQLite fails; then the next comparison finds the same.
    pub fn raise_epoch(&self, channel: &Channel, epoch: u64) -> Result<(), Fault> {
        let numbers = "UPDATE channel SET epoch = ?, written = 0 WHERE name = ?";
        self.rows(numbers, vec![number(epoch)?, text(channel)])
            .map(drop)
    }

    fn progress(&self, round: Round) -> Result<String, Fault> {
        let query = "SELECT after FROM round WHERE name = ?";
        let row = self.row(query, vec![round.name().into()])?;
        let after = row.map(|row| string(&row, 0).map(str::to_owned));
        Ok(after.transpose()?.unwrap_or_default())
    }

    fn set_progress(&self, round: Round, after: &str) -> Result<(), Fault> {
        let update = "INSERT INTO round (name, after) VALUES (?, ?) \
                      ON CONFLICT (name) DO UPDATE SET after = excluded.after \
                      WHERE after <> excluded.after";
        self.rows(update, vec![round.name().into(), after.into()])
            .map(drop)
    }
}

/// Above every intent id, which are lower-case ASCII.
const LAST: &str = "~";

#[cfg(test)]
mod tests;
