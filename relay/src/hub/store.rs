//! The hub's SQLite database.
//!
//! What it promises: a Durable Object runs once in the world, its statements take effect in order, and
//! what was written is durable before any answer leaves the object. Two statements are one unit only
//! inside of `Storage::transaction`, so [`Store::commit`] must run there.
//!
//! Nothing is pruned, so `pruned_before` stays 0 and dedupe keys are kept for good.

use std::collections::BTreeMap;

use jiff::Timestamp;
use towline_protocol::{
    Channel, ChannelNews, Glob, HostName, Intent, IntentId, IntentStatus, MAILBOX_WINDOW, Mailbox,
    Mark, Polled, Report,
};
use worker::{SqlStorage, SqlStorageValue as Value};

use super::ask::{Committed, Kept};
use crate::{
    api::report::{self, Heard},
    error::Fault,
    gate::Candidate,
    mailbox::{self, Numbers, Room},
};

/// `written` is the newest `seq` that has reached KV; below `head` the mailbox is due.
/// In a report, an empty service is an acknowledgement.
const SCHEMA: [&str; 4] = [
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
];

/// The database. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Store {
    sql: SqlStorage,
    created_ms: u64,
}

type Row = Vec<Value>;

impl Store {
    /// Opens the database, and makes it on the hub's first day.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn open(sql: SqlStorage, now_ms: u64) -> Result<Self, Fault> {
        let mut store = Self { sql, created_ms: 0 };
        for table in SCHEMA {
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

    /// The mailbox as it should be in KV now; `None` when it is there already.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn due_mailbox(&self, channel: &Channel, now: Timestamp) -> Result<Option<Mailbox>, Fault> {
        let due = "SELECT 1 FROM channel WHERE name = ? AND written < head";
        let Some(numbers) = self.numbers(channel)? else {
            return Ok(None);
        };
        if self.row(due, vec![text(channel)])?.is_none() {
            return Ok(None);
        }
        let newest = "SELECT body FROM intent WHERE channel = ? ORDER BY seq DESC LIMIT ?";
        let window = number(MAILBOX_WINDOW as u64)?;
        let rows = self.rows(newest, vec![text(channel), window])?;
        let intents: Result<_, _> = rows.iter().map(|row| body(row, 0)).collect();
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

    /// All that is newer than the marks, as much as fits into one answer.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn since(&self, marks: &BTreeMap<Channel, Mark>) -> Result<Polled, Fault> {
        let mut polled = Polled::default();
        let mut room = Room::new(marks.len());
        for (channel, mark) in marks {
            let mut news = ChannelNews::default();
            if let Some(numbers) = self.numbers(channel)? {
                news.epoch = numbers.epoch;
                news.head = numbers.head;
                news.pruned_before = numbers.pruned_before;
                if let Some(above) = mailbox::news_above(*mark, numbers.epoch) {
                    news.intents = self.above(channel, above, &mut room)?;
                }
            }
            polled.channels.insert(channel.clone(), news);
        }
        Ok(polled)
    }

    fn above(&self, channel: &Channel, seq: u64, room: &mut Room) -> Result<Vec<Intent>, Fault> {
        let query = "SELECT body FROM intent WHERE channel = ? AND seq > ? ORDER BY seq";
        let mut intents = Vec::new();
        // Row by row: rows that no longer fit are not read, and not billed.
        for row in self.cursor(query, vec![text(channel), number(seq)?])? {
            let row = row.map_err(failed)?;
            if !room.take(string(&row, 0)?.len()) {
                break;
            }
            intents.push(body(&row, 0)?);
        }
        Ok(intents)
    }

    /// How an intent fares; `None` when there is no such intent.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn status(&self, id: &IntentId) -> Result<Option<IntentStatus>, Fault> {
        let query = "SELECT body FROM intent WHERE id = ?";
        let Some(row) = self.row(query, vec![text(id)])? else {
            return Ok(None);
        };
        let query = "SELECT host, received_ms, body FROM report WHERE intent = ?";
        let rows = self.rows(query, vec![text(id)])?;
        let heard: Result<_, _> = rows.iter().map(|row| heard(row)).collect();
        Ok(Some(report::status(body(&row, 0)?, heard?)))
    }

    /// Keeps a host's reports. One about an unknown intent is kept too; one about a known intent on a
    /// channel that the host may not see is left out.
    ///
    /// # Errors
    /// When SQLite fails. Reports before that one are kept, which a repetition does not harm.
    pub fn keep(
        &self,
        host: &HostName,
        channels: &[Glob],
        reports: &[Report],
        now_ms: u64,
    ) -> Result<Kept, Fault> {
        let mut kept = Kept {
            accepted: 0,
            left_out: 0,
        };
        for report in reports {
            if self.may_report(&report.intent, channels)? {
                self.keep_one(host, report, now_ms)?;
                kept.accepted = kept.accepted.saturating_add(1);
            } else {
                kept.left_out = kept.left_out.saturating_add(1);
            }
        }
        Ok(kept)
    }

    fn may_report(&self, id: &IntentId, channels: &[Glob]) -> Result<bool, Fault> {
        let row = self.row("SELECT channel FROM intent WHERE id = ?", vec![text(id)])?;
        let Some(row) = row else {
            return Ok(true);
        };
        let channel = string(&row, 0)?;
        Ok(channels.iter().any(|glob| glob.matches(channel)))
    }

    fn keep_one(&self, host: &HostName, report: &Report, now_ms: u64) -> Result<(), Fault> {
        let service = report.service.as_ref().map_or("", |name| name.as_str());
        let mut values = vec![
            text(&report.intent),
            text(host),
            service.into(),
            number(u64::from(report.attempt))?,
        ];
        let query = "SELECT body FROM report \
                     WHERE intent = ? AND host = ? AND service = ? AND attempt = ?";
        if let Some(row) = self.row(query, values.clone())? {
            let there: Report = body(&row, 0)?;
            if there == *report || !report::replaces(there.outcome, report.outcome) {
                return Ok(());
            }
        }
        let json = serde_json::to_string(report).map_err(failed)?;
        values.extend([number(now_ms)?, json.into()]);
        let insert = "INSERT OR REPLACE INTO report \
                      (intent, host, service, attempt, received_ms, body) VALUES (?, ?, ?, ?, ?, ?)";
        self.rows(insert, values).map(drop)
    }

    fn row(&self, query: &str, values: Row) -> Result<Option<Row>, Fault> {
        self.cursor(query, values)?
            .next()
            .transpose()
            .map_err(failed)
    }

    fn rows(&self, query: &str, values: Row) -> Result<Vec<Row>, Fault> {
        let rows: worker::Result<_> = self.cursor(query, values)?.collect();
        rows.map_err(failed)
    }

    /// Raw rows: `SqlCursor::one` and `to_array` let a JavaScript exception through, which ends the
    /// whole object.
    fn cursor(
        &self,
        query: &str,
        values: Row,
    ) -> Result<impl Iterator<Item = worker::Result<Row>> + use<>, Fault> {
        Ok(self.sql.exec(query, values).map_err(failed)?.raw())
    }
}

fn numbered(candidate: Candidate, epoch: u64, seq: u64, now: Timestamp) -> Intent {
    let expires_in = candidate.expires_in;
    Intent {
        id: IntentId::of_key(&candidate.dedupe_key),
        channel: candidate.channel,
        epoch,
        seq,
        created_at: now,
        expires_at: expires_in.and_then(|after| now.checked_add(after).ok()),
        source: candidate.source,
        revision: candidate.revision,
        image: None,
        service: None,
        hosts: Vec::new(),
    }
}

fn heard(row: &[Value]) -> Result<Heard, Fault> {
    let at = i64::try_from(int(row, 1)?).map_err(failed)?;
    Ok(Heard {
        host: parsed(row, 0)?,
        at: Timestamp::from_millisecond(at).map_err(failed)?,
        report: body(row, 2)?,
    })
}

/// JavaScript's numbers are exact up to 2^53, which is enough for milliseconds and for counting.
fn number(value: u64) -> Result<Value, Fault> {
    let value = i64::try_from(value).map_err(failed)?;
    Value::try_from_i64(value).map_err(failed)
}

fn text(value: &impl ToString) -> Value {
    Value::String(value.to_string())
}

fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

fn int(row: &[Value], at: usize) -> Result<u64, Fault> {
    match row.get(at) {
        Some(Value::Integer(value)) => u64::try_from(*value).map_err(failed),
        other => Err(failed(format!("column {at} is {other:?} and not a number"))),
    }
}

fn string(row: &[Value], at: usize) -> Result<&str, Fault> {
    match row.get(at) {
        Some(Value::String(value)) => Ok(value),
        other => Err(failed(format!("column {at} is {other:?} and not text"))),
    }
}

fn parsed<T: std::str::FromStr<Err = towline_protocol::NameError>>(
    row: &[Value],
    at: usize,
) -> Result<T, Fault> {
    string(row, at)?.parse().map_err(failed)
}

fn body<T: serde::de::DeserializeOwned>(row: &[Value], at: usize) -> Result<T, Fault> {
    serde_json::from_str(string(row, at)?).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Fault {
    Fault::storage("SQL", error)
}
