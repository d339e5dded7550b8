//! The hub's hosts: what each said of itself, when it was last heard, which channels it listens to.
//!
//! Written when a host says something new, or after [`SEEN_STEP_MS`]: the rows that may be written in a day
//! are few. So `seen_ms` is that much behind at most. Whether a host is connected is no row: the hub's sockets
//! know.

use std::collections::BTreeSet;

use towline_protocol::{Channel, Hello, HostName};

use super::{
    Store,
    column::{Row, body, failed, int, number, parsed, text, time},
};
use crate::{api::status::Listener, error::Fault};

/// How far a host's last sign of life may be ahead of its row, in milliseconds.
pub const SEEN_STEP_MS: u64 = 5 * 60 * 1000;

/// A host that has reported without a hello has neither version nor channels.
pub(super) const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS host (
        name TEXT PRIMARY KEY, seen_ms INTEGER NOT NULL, version TEXT,
        channels TEXT NOT NULL DEFAULT '[]', services TEXT NOT NULL DEFAULT '[]'
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS listener (
        channel TEXT NOT NULL, host TEXT NOT NULL, PRIMARY KEY (channel, host)
    ) WITHOUT ROWID",
];

impl Store {
    /// Registers a host with what it says of itself; what its token does not allow must be left out already.
    ///
    /// # Errors
    /// When SQLite fails. The host's own row is written last, so that a repetition mends what is half done.
    pub fn register(&self, host: &HostName, hello: &Hello, now_ms: u64) -> Result<(), Fault> {
        let query = "SELECT seen_ms, version, channels, services FROM host WHERE name = ?";
        let there = self.row(query, vec![text(host)])?;
        let channels: BTreeSet<&Channel> = hello.marks.keys().collect();
        let before = match &there {
            Some(row) => body::<BTreeSet<Channel>>(row, 2)?,
            None => BTreeSet::new(),
        };
        let said = [
            hello.version.clone().into(),
            json(&channels)?.into(),
            json(&hello.services)?.into(),
        ];
        if let Some(row) = &there
            && row.get(1..) == Some(&said)
            && !is_due(row, now_ms)?
        {
            return Ok(());
        }
        self.subscribe(host, &before, &channels)?;
        let mut values = vec![text(host), number(now_ms)?];
        values.extend(said);
        let insert = "INSERT OR REPLACE INTO host (name, seen_ms, version, channels, services) \
                      VALUES (?, ?, ?, ?, ?)";
        self.rows(insert, values).map(drop)
    }

    fn subscribe(
        &self,
        host: &HostName,
        before: &BTreeSet<Channel>,
        now: &BTreeSet<&Channel>,
    ) -> Result<(), Fault> {
        let insert = "INSERT OR IGNORE INTO listener (channel, host) VALUES (?, ?)";
        for channel in now.iter().filter(|channel| !before.contains(**channel)) {
            self.rows(insert, vec![text(channel), text(host)])?;
        }
        let delete = "DELETE FROM listener WHERE channel = ? AND host = ?";
        for channel in before.iter().filter(|channel| !now.contains(channel)) {
            self.rows(delete, vec![text(channel), text(host)])?;
        }
        Ok(())
    }

    /// Notes that a host was heard, unless that was noted a moment ago.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn saw(&self, host: &HostName, now_ms: u64) -> Result<(), Fault> {
        let query = "SELECT seen_ms FROM host WHERE name = ?";
        match self.row(query, vec![text(host)])? {
            Some(row) if !is_due(&row, now_ms)? => Ok(()),
            Some(_) | None => {
                let upsert = "INSERT INTO host (name, seen_ms) VALUES (?, ?) \
                              ON CONFLICT (name) DO UPDATE SET seen_ms = excluded.seen_ms";
                let values = vec![text(host), number(now_ms)?];
                self.rows(upsert, values).map(drop)
            }
        }
    }

    /// The hosts that listen to a channel.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn listeners(&self, channel: &Channel) -> Result<Vec<HostName>, Fault> {
        let query = "SELECT host FROM listener WHERE channel = ?";
        let rows = self.rows(query, vec![text(channel)])?;
        rows.iter().map(|row| parsed(row, 0)).collect()
    }

    /// The hosts that listen to a channel, and when each was last heard of.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn last_seen(&self, channel: &Channel) -> Result<Vec<Listener>, Fault> {
        let query = "SELECT host, seen_ms FROM listener JOIN host ON name = host WHERE channel = ?";
        let rows = self.rows(query, vec![text(channel)])?;
        let listeners = rows.iter().map(|row| {
            Ok(Listener {
                host: parsed(row, 0)?,
                seen_at: time(row, 1)?,
            })
        });
        listeners.collect()
    }
}

/// Whether a row that begins with `seen_ms` is to be written anew.
fn is_due(row: &Row, now_ms: u64) -> Result<bool, Fault> {
    Ok(now_ms.saturating_sub(int(row, 0)?) >= SEEN_STEP_MS)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::json;

    use super::*;
    use crate::hub::sql::memory::Memory;

    fn store() -> Store {
        Store::open(Rc::new(Memory::new().unwrap()), 1000).unwrap()
    }

    fn pi() -> HostName {
        "pi".parse().unwrap()
    }

    fn hello(version: &str, channels: &[&str]) -> Hello {
        let marks: serde_json::Map<_, _> = channels
            .iter()
            .map(|channel| ((*channel).to_owned(), json!("7.1")))
            .collect();
        serde_json::from_value(json!({ "version": version, "marks": marks })).unwrap()
    }

    fn listens(store: &Store, channel: &str) -> bool {
        let listeners = store.listeners(&channel.parse().unwrap()).unwrap();
        listeners == [pi()]
    }

    fn seen_ms(store: &Store) -> Option<u64> {
        let row = store.row("SELECT seen_ms FROM host", vec![]).unwrap();
        row.map(|row| int(&row, 0).unwrap())
    }

    #[test]
    fn a_hello_says_anew_what_is_listened_to() {
        let store = store();
        store
            .register(&pi(), &hello("1", &["a/one", "a/two"]), 0)
            .unwrap();
        assert!(listens(&store, "a/one") && listens(&store, "a/two"));
        store
            .register(&pi(), &hello("1", &["a/two", "a/three"]), 1)
            .unwrap();
        assert!(!listens(&store, "a/one"));
        assert!(listens(&store, "a/two") && listens(&store, "a/three"));
    }

    #[test]
    fn the_same_hello_is_written_again_only_after_a_while() {
        let store = store();
        store
            .register(&pi(), &hello("1", &["a/one"]), 1000)
            .unwrap();
        store
            .register(&pi(), &hello("1", &["a/one"]), 1000 + SEEN_STEP_MS - 1)
            .unwrap();
        assert_eq!(seen_ms(&store), Some(1000));
        store
            .register(&pi(), &hello("2", &["a/one"]), 2000)
            .unwrap();
        assert_eq!(seen_ms(&store), Some(2000));
        store
            .register(&pi(), &hello("2", &["a/one"]), 2000 + SEEN_STEP_MS)
            .unwrap();
        assert_eq!(seen_ms(&store), Some(2000 + SEEN_STEP_MS));
    }

    #[test]
    fn a_sign_of_life_is_written_after_a_while_and_leaves_the_hello_alone() {
        let store = store();
        store.saw(&pi(), 1000).unwrap();
        assert_eq!(seen_ms(&store), Some(1000));
        store
            .register(&pi(), &hello("1", &["a/one"]), 1000)
            .unwrap();
        store.saw(&pi(), 1000 + SEEN_STEP_MS - 1).unwrap();
        assert_eq!(seen_ms(&store), Some(1000));
        store.saw(&pi(), 1000 + SEEN_STEP_MS).unwrap();
        assert_eq!(seen_ms(&store), Some(1000 + SEEN_STEP_MS));
        assert!(listens(&store, "a/one"));
        let last_seen = store.last_seen(&"a/one".parse().unwrap()).unwrap();
        assert_eq!(last_seen.len(), 1);
        assert_eq!(last_seen[0].seen_at.as_millisecond(), 301_000);
    }
}
