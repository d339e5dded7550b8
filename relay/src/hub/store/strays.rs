//! Reports about intents that the hub does not know: kept, because a hub that lost its storage may hear of
//! them again, and bounded, because anybody can make such ids up.

use towline_protocol::{HostName, IntentId};

use super::{
    Store,
    column::{Row, Value, text},
};
use crate::error::Fault;

/// How many such reports are kept of each host: the newest.
pub(super) const MAX_STRAYS: usize = 100;

/// Names the rows of `report` that were about an unknown intent when they came.
pub(super) const SCHEMA: [&str; 1] = ["CREATE TABLE IF NOT EXISTS stray (
        host TEXT NOT NULL, intent TEXT NOT NULL, service TEXT NOT NULL, attempt INTEGER NOT NULL,
        received_ms INTEGER NOT NULL, PRIMARY KEY (host, intent, service, attempt)
    ) WITHOUT ROWID"];

impl Store {
    /// Notes that a report's intent is not known. `key` is that of its row: intent, host, service, attempt.
    pub(super) fn note_stray(&self, key: Row, received_ms: Value) -> Result<(), Fault> {
        let insert = "INSERT OR REPLACE INTO stray (intent, host, service, attempt, received_ms) \
                      VALUES (?, ?, ?, ?, ?)";
        let mut values = key;
        values.push(received_ms);
        self.rows(insert, values).map(drop)
    }

    /// Whether a host reported on an intent before that was known, and not since. Whether it may is then not
    /// known either.
    pub(super) fn was_stray(&self, host: &HostName, id: &IntentId) -> Result<bool, Fault> {
        let query = "SELECT 1 FROM stray WHERE host = ? AND intent = ?";
        Ok(self.row(query, vec![text(host), text(id)])?.is_some())
    }

    /// Takes a host's reports on an intent off the list: it may report on it.
    pub(super) fn strike_stray(&self, host: &HostName, id: &IntentId) -> Result<(), Fault> {
        let strike = "DELETE FROM stray WHERE host = ? AND intent = ?";
        self.rows(strike, vec![text(host), text(id)]).map(drop)
    }

    /// Drops a host's oldest strays until it has [`MAX_STRAYS`]. One whose intent is known by now is only
    /// struck off the list.
    pub(super) fn drop_oldest_strays(&self, host: &HostName) -> Result<(), Fault> {
        let query = "SELECT intent, host, service, attempt FROM stray WHERE host = ? \
                     ORDER BY received_ms DESC, intent, service, attempt";
        let strays = self.rows(query, vec![text(host)])?;
        let drop = "DELETE FROM report WHERE intent = ? AND host = ? AND service = ? AND attempt = ? \
                    AND NOT EXISTS (SELECT 1 FROM intent WHERE id = report.intent)";
        let strike =
            "DELETE FROM stray WHERE intent = ? AND host = ? AND service = ? AND attempt = ?";
        for key in strays.into_iter().skip(MAX_STRAYS) {
            self.rows(drop, key.clone())?;
            self.rows(strike, key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use towline_protocol::{Glob, Hello, Report};

    use super::*;
    use crate::{
        hub::store::column::int,
        testing::{candidate, store},
    };

    fn commit(store: &Store, cause: &str) {
        let candidate = candidate("octo-org/web", cause);
        store.commit(candidate, 1, Timestamp::UNIX_EPOCH).unwrap();
    }

    fn report(cause: &str) -> Report {
        let id = IntentId::of_key(cause);
        let report = json!({
            "intent": id, "service": "web", "attempt": 1, "outcome": "succeeded",
            "started_at": "2026-11-20T15:00:00Z",
        });
        serde_json::from_value(report).unwrap()
    }

    fn keep(store: &Store, host: &str, causes: &[String], now_ms: u64) {
        let reports: Vec<_> = causes.iter().map(|cause| report(cause)).collect();
        let kept = store.keep(&host.parse().unwrap(), &[Glob::new("*")], &reports, now_ms);
        assert_eq!(kept.unwrap().accepted as usize, causes.len());
    }

    fn count(store: &Store, host: &str) -> u64 {
        let query = "SELECT count(*) FROM report WHERE host = ?";
        let row = store.row(query, vec![host.into()]).unwrap();
        int(&row.unwrap(), 0).unwrap()
    }

    fn has(store: &Store, cause: &str) -> bool {
        let query = "SELECT 1 FROM report WHERE intent = ?";
        let id = text(&IntentId::of_key(cause));
        store.row(query, vec![id]).unwrap().is_some()
    }

    #[test]
    fn the_newest_hundred_about_unknown_intents_stay_of_each_host() {
        let store = store();
        keep(&store, "nas", &["made up".to_owned()], 1);
        for second in 1..=250 {
            keep(&store, "pi", &[format!("made up {second}")], second);
        }
        assert_eq!((count(&store, "pi"), count(&store, "nas")), (100, 1));
        assert!(has(&store, "made up 250") && has(&store, "made up 151"));
        assert!(!has(&store, "made up 150"));
    }

    #[test]
    fn who_reports_on_an_id_before_there_is_such_an_intent_does_not_appear_with_it() {
        let store = store();
        for host in ["forger", "listens", "reports-again"] {
            keep(&store, host, &["guessed".to_owned()], 1);
        }
        commit(&store, "guessed");
        let marks = json!({ "version": "1", "marks": { "octo-org/web": "0.0" } });
        let hello: Hello = serde_json::from_value(marks).unwrap();
        store
            .register(&"listens".parse().unwrap(), &hello, 1)
            .unwrap();
        keep(&store, "reports-again", &["guessed".to_owned()], 2);
        let id = IntentId::of_key("guessed");
        let status = store.status(&id, Timestamp::UNIX_EPOCH, |_| None).unwrap();
        let hosts = status.unwrap().hosts;
        let hosts: Vec<_> = hosts.keys().map(HostName::as_str).collect();
        assert_eq!(hosts, ["listens", "reports-again"]);
    }

    #[test]
    fn reports_of_one_moment_have_the_same_bound() {
        let store = store();
        let batch =
            |from: u32| -> Vec<String> { (from..from + 100).map(|n| n.to_string()).collect() };
        keep(&store, "pi", &batch(0), 5);
        assert_eq!(count(&store, "pi"), 100);
        keep(&store, "pi", &batch(1000), 5);
        assert_eq!(count(&store, "pi"), 100);
    }

    #[test]
    fn what_is_known_has_no_such_bound_even_where_it_was_unknown_before() {
        let store = store();
        keep(&store, "pi", &["known later".to_owned()], 1);
        commit(&store, "known later");
        commit(&store, "known");
        keep(&store, "pi", &["known".to_owned()], 1);
        for second in 2..=200 {
            keep(&store, "pi", &[format!("made up {second}")], second);
        }
        assert!(has(&store, "known") && has(&store, "known later"));
        assert_eq!(count(&store, "pi"), 102);
    }
}
