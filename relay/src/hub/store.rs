//! The hub's SQLite database.
//!
//! What it promises: a Durable Object runs once in the world, its statements take effect in order, and
//! what was written is durable before any answer leaves the object. Two statements are one unit only
//! inside of `Storage::transaction`, so [`Store::commit`] must run there.
//!
//! What goes for its age, and what is kept for good, is told in [`prune`].

use std::{collections::BTreeMap, rc::Rc};

use jiff::{SignedDuration, Timestamp};
use towline_protocol::{
    Channel, ChannelNews, Intent, IntentId, MAILBOX_WINDOW, Mailbox, Mark, Polled,
};

use super::{
    ask::Committed,
    sql::{Database, Rows},
};
use crate::{
    error::Fault,
    gate::Candidate,
    mailbox::{self, Numbers, Room},
};

mod column;
mod corner;
mod fleet;
mod looks;
mod orders;
pub mod presence;
pub mod prune;
mod reports;
mod rings;
mod strays;

use column::{Row, body, failed, int, millis, number, parsed, string, text};

/// `written` is the newest `seq` that has reached KV; below `head` the mailbox is due.
/// In a report, an empty service is an acknowledgement. A round is at the row after `after`.
const SCHEMA: [&str; 6] = [
    "CREATE TABLE IF NOT EXISTS hub (
        one INTEGER PRIMARY KEY CHECK (one = 1), created_ms INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS channel (
        name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, head INTEGER NOT NULL DEFAULT 0,
        written INTEGER NOT NULL DEFAULT 0, pruned_before INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS intent (
        channel TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,
        dedupe_key TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (channel, seq)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS report (
        intent TEXT NOT NULL, host TEXT NOT NULL, service TEXT NOT NULL, attempt INTEGER NOT NULL,
        received_ms INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (intent, host, service, attempt)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS hook (name TEXT PRIMARY KEY, look TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS round (name TEXT PRIMARY KEY, after TEXT NOT NULL) WITHOUT ROWID",
];

/// The database. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Store {
    sql: Rc<dyn Database>,
    created_ms: u64,
}

impl Store {
    /// Opens the database, and makes it on the hub's first day.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn open(sql: Rc<dyn Database>, now_ms: u64) -> Result<Self, Fault> {
        let mut store = Self { sql, created_ms: 0 };
        let tables = SCHEMA.iter().chain(&presence::SCHEMA);
        for table in tables.chain(&strays::SCHEMA).chain(&fleet::SCHEMA) {
            store.rows(table, vec![])?;
        }
        let now = number(now_ms)?;
        store.rows("INSERT OR IGNORE INTO hub VALUES (1, ?)", vec![now])?;
        let row = store.row("SELECT created_ms FROM hub", vec![])?;
        store.created_ms = row.as_deref().map_or(Ok(now_ms), |row| int(row, 0))?;
        Ok(store)
    }

    /// When the hub was made, in milliseconds since 1970.
    pub fn created_ms(&self) -> u64 {
        self.created_ms
    }

    /// A channel's numbers, once it was used.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn numbers(&self, channel: &Channel) -> Result<Option<Numbers>, Fault> {
        let query = "SELECT epoch, head, pruned_before FROM channel WHERE name = ?";
        let row = self.row(query, vec![text(channel)])?;
        row.map(|row| {
            Ok(Numbers {
                epoch: int(&row, 0)?,
                head: int(&row, 1)?,
                pruned_before: int(&row, 2)?,
            })
        })
        .transpose()
    }

    /// The intent that a cause became earlier.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn find(&self, dedupe_key: &str) -> Result<Option<Committed>, Fault> {
        let query = "SELECT id, seq FROM intent WHERE dedupe_key = ?";
        let row = self.row(query, vec![dedupe_key.into()])?;
        row.map(|row| {
            Ok(Committed {
                id: parsed(&row, 0)?,
                seq: int(&row, 1)?,
                duplicate: true,
            })
        })
        .transpose()
    }

    /// Numbers an intent and stores it, unless its cause was stored before. Only inside of a
    /// transaction.
    ///
    /// # Errors
    /// When SQLite fails; the transaction must then be given up.
    pub fn commit(
        &self,
        candidate: Candidate,
        first_epoch: u64,
        now: Timestamp,
    ) -> Result<Committed, Fault> {
        if let Some(known) = self.find(&candidate.dedupe_key)? {
            return Ok(known);
        }
        let name = text(&candidate.channel);
        let first = "INSERT OR IGNORE INTO channel (name, epoch) VALUES (?, ?)";
        self.rows(first, vec![name.clone(), number(first_epoch)?])?;
        let next = "UPDATE channel SET head = head + 1 WHERE name = ? RETURNING epoch, head";
        let row = self.row(next, vec![name.clone()])?;
        let row = row.ok_or_else(|| failed("the channel's row is gone"))?;
        let key = candidate.dedupe_key.clone();
        let intent = numbered(candidate, int(&row, 0)?, int(&row, 1)?, now);
        let body = serde_json::to_string(&intent).map_err(failed)?;
        let created = number(millis(now))?;
        let insert = "INSERT INTO intent (channel, seq, id, dedupe_key, created_ms, body) \
                      VALUES (?, ?, ?, ?, ?, ?)";
        let seq = number(intent.seq)?;
        let values = vec![
            name,
            seq,
            text(&intent.id),
            key.into(),
            created,
            body.into(),
        ];
        self.rows(insert, values)?;
        Ok(Committed {
            id: intent.id,
            seq: intent.seq,
            duplicate: false,
        })
    }

    /// The channels whose mailbox in KV is behind.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn due(&self) -> Result<Vec<Channel>, Fault> {
        let rows = self.rows("SELECT name FROM channel WHERE written < head", vec![])?;
        rows.iter().map(|row| parsed(row, 0)).collect()
    }

    /// Whether the channel's mailbox in KV is behind.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn is_due(&self, channel: &Channel) -> Result<bool, Fault> {
        let query = "SELECT 1 FROM channel WHERE name = ? AND written < head";
        Ok(self.row(query, vec![text(channel)])?.is_some())
    }

    /// The mailbox as it should be in KV now; `None` when it is there already.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn due_mailbox(&self, channel: &Channel, now: Timestamp) -> Result<Option<Mailbox>, Fault> {
        let numbers = self.numbers(channel)?;
        let (Some(numbers), true) = (numbers, self.is_due(channel)?) else {
            return Ok(None);
        };
        let newest = "SELECT body FROM intent WHERE channel = ? ORDER BY seq DESC LIMIT ?";
        let window = number(MAILBOX_WINDOW as u64)?;
        let rows = self.rows(newest, vec![text(channel), window])?;
        let in_epoch = |row| in_epoch(row, numbers.epoch);
        let intents: Result<_, _> = rows.iter().map(in_epoch).collect();
        Ok(Some(mailbox::compose(numbers, intents?, now)))
    }

    /// Notes that KV has a mailbox with this head.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn written(&self, channel: &Channel, head: u64) -> Result<(), Fault> {
        let update = "UPDATE channel SET written = max(written, ?) WHERE name = ?";
        self.rows(update, vec![number(head)?, text(channel)])
            .map(drop)
    }

    /// Notes that KV may have any older mailbox.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn unwritten(&self, channel: &Channel) -> Result<(), Fault> {
        let update = "UPDATE channel SET written = 0 WHERE name = ?";
        self.rows(update, vec![text(channel)]).map(drop)
    }

    /// All that is newer than the marks, as much as there is room for.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn since(&self, marks: &BTreeMap<Channel, Mark>, mut room: Room) -> Result<Polled, Fault> {
        let mut polled = Polled::default();
        for (channel, mark) in marks {
            let mut news = ChannelNews::default();
            if let Some(numbers) = self.numbers(channel)? {
                news.epoch = numbers.epoch;
                news.head = numbers.head;
                news.pruned_before = numbers.pruned_before;
                if let Some(above) = mailbox::news_above(*mark, numbers.epoch) {
                    news.intents = self.above(channel, above, numbers.epoch, &mut room)?;
                }
            }
            polled.channels.insert(channel.clone(), news);
        }
        Ok(polled)
    }

    fn above(
        &self,
        channel: &Channel,
        seq: u64,
        epoch: u64,
        room: &mut Room,
    ) -> Result<Vec<Intent>, Fault> {
        let query = "SELECT body FROM intent WHERE channel = ? AND seq > ? ORDER BY seq";
        let mut intents = Vec::new();
        // Row by row: rows that no longer fit are not read, and not billed.
        for row in self.cursor(query, vec![text(channel), number(seq)?])? {
            let row = row?;
            if !room.take(string(&row, 0)?.len()) {
                break;
            }
            intents.push(in_epoch(&row, epoch)?);
        }
        Ok(intents)
    }

    fn row(&self, query: &str, values: Row) -> Result<Option<Row>, Fault> {
        self.cursor(query, values)?.next().transpose()
    }

    fn rows(&self, query: &str, values: Row) -> Result<Vec<Row>, Fault> {
        self.cursor(query, values)?.collect()
    }

    fn cursor(&self, query: &str, values: Row) -> Result<Rows, Fault> {
        self.sql.run(query, values)
    }
}

/// The intent whose row begins with its body, in its channel's epoch, which may have been raised since.
fn in_epoch(row: &Row, epoch: u64) -> Result<Intent, Fault> {
    let intent = body(row, 0)?;
    Ok(Intent { epoch, ..intent })
}

/// The intent that a candidate becomes with its number.
pub(crate) fn numbered(candidate: Candidate, epoch: u64, seq: u64, now: Timestamp) -> Intent {
    let expires_in = candidate
        .expires_in
        .map(|seconds| SignedDuration::from_secs(i64::from(seconds)));
    Intent {
        id: IntentId::of_key(&candidate.dedupe_key),
        channel: candidate.channel,
        epoch,
        seq,
        created_at: now,
        expires_at: expires_in.and_then(|after| now.checked_add(after).ok()),
        source: candidate.source,
        revision: candidate.revision,
        image: candidate.image,
        service: candidate.service,
        hosts: candidate.hosts,
    }
}

#[cfg(test)]
mod tests;
