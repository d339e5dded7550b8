//! What the hub has written down of all its hosts, for who looks at the fleet, and the day's counts.

use jiff::Timestamp;
use towline_protocol::{HostName, IntentId, Outcome, Report, fleet::LastReport};

use super::{
    Store,
    column::{Row, Value, body, failed, millis, number, parsed, string, text, time},
};
use crate::{
    api::{
        fleet::{Known, Said},
        report::is_overtaken,
    },
    error::Fault,
    tally,
};

/// What each service said last, and one row of the day's counts.
pub(super) const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS said (
        host TEXT NOT NULL, service TEXT NOT NULL, intent TEXT NOT NULL, outcome TEXT NOT NULL,
        at_ms INTEGER NOT NULL, PRIMARY KEY (host, service)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS tally (
        one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL)",
];

impl Store {
    /// All hosts.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn hosts(&self) -> Result<Vec<Known>, Fault> {
        let query = "SELECT name, seen_ms, version, channels, services FROM host";
        let rows = self.rows(query, vec![])?;
        rows.iter().map(known).collect()
    }

    /// What every service said last.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn said(&self) -> Result<Said, Fault> {
        let rows = self.rows(
            "SELECT host, service, intent, outcome, at_ms FROM said",
            vec![],
        )?;
        let said = rows.iter().map(|row| {
            let outcome = string(row, 3)?.into();
            let last = LastReport {
                intent: parsed::<IntentId>(row, 2)?,
                outcome: serde_json::from_value(outcome).map_err(failed)?,
                at: time(row, 4)?,
            };
            Ok(((parsed(row, 0)?, parsed(row, 1)?), last))
        });
        said.collect()
    }

    /// Notes what a service said last, unless that was overtaken by what is noted already; `host` and `at_ms` as in the
    /// report's row. What is said of a newer intent, or one of another channel, never was, whatever its order: a host whose state was put back may
    /// number from behind.
    pub(super) fn note_said(
        &self,
        host: Value,
        report: &Report,
        outcome: Outcome,
        at_ms: Value,
    ) -> Result<(), Fault> {
        let Some(service) = &report.service else {
            return Ok(());
        };
        let last = "SELECT report.body FROM said JOIN report USING (intent, host, service) \
                    JOIN intent AS noted ON noted.id = intent JOIN intent AS new ON new.id = ? \
                    WHERE host = ? AND service = ? AND new.channel = noted.channel AND new.seq <= noted.seq \
                    ORDER BY attempt DESC LIMIT 1";
        let key = vec![text(&report.intent), host.clone(), text(service)];
        if let Some(row) = self.row(last, key)?
            && is_overtaken(&body(&row, 0)?, report)
        {
            return Ok(());
        }
        let insert = "INSERT OR REPLACE INTO said (host, service, intent, outcome, at_ms) \
                      VALUES (?, ?, ?, ?, ?)";
        let outcome = outcome.as_str().into();
        let values = vec![host, text(service), text(&report.intent), outcome, at_ms];
        self.rows(insert, values).map(drop)
    }

    /// The counts as they were written last.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn tally(&self) -> Result<Option<tally::Kept>, Fault> {
        let row = self.row("SELECT body FROM tally", vec![])?;
        row.map(|row| body(&row, 0)).transpose()
    }

    /// Writes the counts.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn save_tally(&self, kept: &tally::Kept) -> Result<(), Fault> {
        let json = serde_json::to_string(kept).map_err(failed)?;
        let insert = "INSERT OR REPLACE INTO tally (one, body) VALUES (1, ?)";
        self.rows(insert, vec![json.into()]).map(drop)
    }

    /// Forgets hosts that were last heard of before `cut_ms`, until at least `rows` are spent, and returns how many. One
    /// host is a few hundred rows at most. `heard_at` tells of those with an open doorbell when they were heard there.
    ///
    /// # Errors
    /// When SQLite fails. A host's own row goes last, so that the next run finds what is left of it.
    pub fn prune_hosts(
        &self,
        cut_ms: u64,
        rows: u64,
        heard_at: impl Fn(&HostName) -> Option<Timestamp>,
    ) -> Result<u64, Fault> {
        let (mut left, mut gone) = (rows, 0);
        let old = "SELECT name, seen_ms, version, channels, services FROM host WHERE seen_ms < ?";
        for host in self.rows(old, vec![number(cut_ms)?])?.iter().map(known) {
            if left == 0 {
                break;
            }
            let host = host?;
            let heard_ms = heard_at(&host.name).map_or(0, millis);
            if heard_ms >= cut_ms {
                self.saw(&host.name, heard_ms)?;
                left = left.saturating_sub(1);
            } else {
                left = left.saturating_sub(self.forget_host(&host)?);
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// How many rows that was.
    fn forget_host(&self, host: &Known) -> Result<u64, Fault> {
        let name = || text(&host.name);
        for channel in &host.channels {
            let delete = "DELETE FROM listener WHERE channel = ? AND host = ?";
            self.rows(delete, vec![text(channel), name()])?;
        }
        let mut rows = host.channels.len();
        for delete in [
            "DELETE FROM said WHERE host = ? RETURNING 1",
            "DELETE FROM stray WHERE host = ? RETURNING 1",
            "DELETE FROM host WHERE name = ? RETURNING 1",
        ] {
            rows = rows.saturating_add(self.rows(delete, vec![name()])?.len());
        }
        Ok(rows as u64)
    }
}

fn known(row: &Row) -> Result<Known, Fault> {
    Ok(Known {
        name: parsed(row, 0)?,
        seen_at: time(row, 1)?,
        version: match row.get(2) {
            Some(Value::Null) => None,
            Some(Value::Text(_) | Value::Integer(_)) | None => Some(string(row, 2)?.to_owned()),
        },
        channels: body(row, 3)?,
        services: body(row, 4)?,
    })
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::json;
    use towline_protocol::{Glob, Hello, Revision, Source};

    use super::*;
    use crate::{
        gate::Candidate,
        hub::sql::memory::Memory,
        tally::{Event, Tally},
    };

    const WEB: &str = "octo-org/web";

    fn store() -> Store {
        Store::open(Rc::new(Memory::new().unwrap()), 1000).unwrap()
    }

    fn name(host: &str) -> HostName {
        host.parse().unwrap()
    }

    fn register(store: &Store, host: &str, now_ms: u64) {
        let hello: Hello = serde_json::from_value(json!({
            "version": "0.1.0", "marks": { WEB: "7.1" },
            "services": [{ "name": "web", "channel": WEB, "kind": "docker", "running": null }],
        }))
        .unwrap();
        store.register(&name(host), &hello, now_ms).unwrap();
    }

    fn commit(store: &Store, cause: &str) {
        let candidate = Candidate {
            dedupe_key: cause.to_owned(),
            channel: WEB.parse().unwrap(),
            expires_in: None,
            source: Source::Unknown,
            revision: Revision::default(),
            image: None,
            service: None,
            hosts: Vec::new(),
        };
        store.commit(candidate, 1, Timestamp::UNIX_EPOCH).unwrap();
    }

    fn say(store: &Store, cause: &str, service: Option<&str>, outcome: Option<&str>, now_ms: u64) {
        let report = json!({
            "intent": IntentId::of_key(cause), "service": service, "attempt": 1, "outcome": outcome,
            "started_at": "2026-11-20T15:00:00Z",
        });
        keep(store, report, now_ms);
    }

    fn say_in_order(store: &Store, cause: &str, outcome: &str, order: [u64; 2]) {
        let report = json!({
            "intent": IntentId::of_key(cause), "service": "web", "attempt": 1, "outcome": outcome,
            "started_at": "2026-11-20T15:00:00Z", "order": order,
        });
        keep(store, report, 1);
    }

    fn keep(store: &Store, report: serde_json::Value, now_ms: u64) {
        let reports = [serde_json::from_value(report).unwrap()];
        let kept = store.keep(&name("pi"), &[Glob::new("*")], &reports, now_ms);
        assert_eq!(kept.unwrap().accepted, 1);
    }

    /// What the only service said last.
    fn noted(store: &Store) -> LastReport {
        store.said().unwrap().into_values().next().unwrap()
    }

    #[test]
    fn hosts_read_back_as_they_said_and_one_without_a_hello_has_said_nothing() {
        let store = store();
        register(&store, "pi", 1000);
        store.saw(&name("old"), 2000).unwrap();
        let hosts = store.hosts().unwrap();
        let names: Vec<_> = hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["old", "pi"]);
        assert_eq!(
            (hosts[0].version.as_deref(), hosts[0].channels.len()),
            (None, 0)
        );
        assert_eq!(hosts[1].version.as_deref(), Some("0.1.0"));
        assert_eq!(hosts[1].channels, [WEB.parse().unwrap()]);
        assert_eq!(hosts[1].services[0].name.as_str(), "web");
        assert_eq!(hosts[1].seen_at.as_millisecond(), 1000);
    }

    #[test]
    fn a_service_said_last_what_was_heard_last_and_counted() {
        let store = store();
        commit(&store, "one");
        commit(&store, "two");
        say(&store, "one", None, None, 1);
        assert!(store.said().unwrap().is_empty(), "an acknowledgement");
        say(&store, "one", Some("web"), Some("succeeded"), 2);
        say(&store, "two", Some("web"), Some("rolled_back"), 3);
        say(&store, "two", Some("web"), Some("applying"), 4);
        say(&store, "unknown", Some("web"), Some("succeeded"), 5);
        let said = store.said().unwrap();
        let (key, last) = said.first_key_value().unwrap();
        assert_eq!(
            (said.len(), key.0.as_str(), key.1.as_str()),
            (1, "pi", "web")
        );
        assert_eq!(
            (last.outcome, last.at.as_millisecond()),
            (Outcome::RolledBack, 3)
        );
        assert_eq!(last.intent, IntentId::of_key("two"));
    }

    #[test]
    fn what_comes_late_of_an_earlier_intent_is_not_what_a_service_said_last() {
        let store = store();
        commit(&store, "one");
        commit(&store, "two");
        let mut told = Vec::new();
        for (cause, outcome, order) in [
            ("two", "applying", [7, 1]),
            ("one", "superseded", [7, 0]),
            ("two", "succeeded", [8, 0]),
        ] {
            say_in_order(&store, cause, outcome, order);
            told.push(noted(&store).outcome);
        }
        use Outcome::{Applying, Succeeded};
        assert_eq!(told, [Applying, Applying, Succeeded]);
        let status = store.status(&IntentId::of_key("one"), Timestamp::UNIX_EPOCH, |_| None);
        assert_eq!(status.unwrap().unwrap().hosts.len(), 1, "it is kept");
    }

    #[test]
    fn what_a_service_says_of_a_newer_intent_is_noted_also_from_a_host_whose_order_went_back() {
        let store = store();
        let causes = ["one", "two", "three"];
        causes.iter().for_each(|cause| commit(&store, cause));
        let mut told = Vec::new();
        for (cause, order) in [("one", 900), ("two", 5), ("three", 6), ("two", 4)] {
            say_in_order(&store, cause, "succeeded", [order, 0]);
            told.push(noted(&store).intent);
        }
        let expected = ["one", "two", "three", "three"];
        assert_eq!(told, expected.map(IntentId::of_key));
    }

    #[test]
    fn the_counts_read_back_as_written() {
        let store = store();
        assert_eq!(store.tally().unwrap(), None);
        let mut tally = Tally::new(None, Timestamp::UNIX_EPOCH);
        for at_ms in 0..2 {
            tally.count(Event::Intent, Timestamp::UNIX_EPOCH);
            let kept = tally.due(at_ms).unwrap();
            store.save_tally(&kept).unwrap();
            assert_eq!(store.tally().unwrap(), Some(kept));
        }
    }

    #[test]
    fn a_host_that_was_not_heard_of_for_long_goes_unless_it_was_on_its_doorbell() {
        let store = store();
        for (host, seen_ms) in [("gone", 100), ("quiet", 100), ("fresh", 900)] {
            register(&store, host, seen_ms);
        }
        let gone = store.prune_hosts(500, 2000, |host| {
            let heard_at = Timestamp::from_millisecond(700).unwrap();
            (host.as_str() == "quiet").then_some(heard_at)
        });
        assert_eq!(gone.unwrap(), 1);
        let hosts = store.hosts().unwrap();
        let seen: Vec<_> = hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(seen, ["fresh", "quiet"]);
        let mut listeners = store.listeners(&WEB.parse().unwrap()).unwrap();
        listeners.sort();
        assert_eq!(listeners, [name("fresh"), name("quiet")]);
    }

    #[test]
    fn a_run_forgets_hosts_until_its_rows_are_spent_and_the_next_one_goes_on() {
        let store = store();
        for number in 0..5 {
            register(&store, &format!("gone-{number}"), 100);
        }
        // Two rows each: itself and its one channel.
        let gone: Vec<_> = (0..3)
            .map(|_| store.prune_hosts(500, 4, |_| None).unwrap())
            .collect();
        assert_eq!(gone, [2, 2, 1]);
        assert_eq!(store.prune_hosts(500, 0, |_| None).unwrap(), 0);
    }
}
