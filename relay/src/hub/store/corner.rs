//! How much one host may fill of what is kept: its token lets it make up services and attempts, as many as it likes.

use std::collections::BTreeSet;

use towline_protocol::{HostName, IntentId, MAX_SERVICES};

use super::{
    Store,
    column::{Row, number, text},
};
use crate::error::Fault;

/// How many reports are kept of one host on one intent: all services of a host, each with a second attempt.
pub(super) const MAX_REPORTS_OF_A_HOST: usize = 2 * MAX_SERVICES;

impl Store {
    /// Drops what a host has said too much of these intents. The newest reports stay, an acknowledgement before all
    /// others: it comes first and is told once.
    pub(super) fn drop_excess(
        &self,
        host: &HostName,
        intents: &BTreeSet<&IntentId>,
    ) -> Result<(), Fault> {
        let beyond = "SELECT intent, host, service, attempt FROM report WHERE intent = ? AND host = ? \
                      ORDER BY service = '' DESC, received_ms DESC, attempt DESC, service LIMIT -1 OFFSET ?";
        let delete =
            "DELETE FROM report WHERE intent = ? AND host = ? AND service = ? AND attempt = ?";
        let most = number(MAX_REPORTS_OF_A_HOST as u64)?;
        for intent in intents {
            let values = vec![text(intent), text(host), most.clone()];
            self.delete_each(beyond, values, delete)?;
        }
        let beyond = "SELECT host, service FROM said WHERE host = ? \
                      ORDER BY at_ms DESC, service LIMIT -1 OFFSET ?";
        let delete = "DELETE FROM said WHERE host = ? AND service = ?";
        let values = vec![text(host), number(MAX_SERVICES as u64)?];
        self.delete_each(beyond, values, delete)
    }

    fn delete_each(&self, keys: &str, values: Row, delete: &str) -> Result<(), Fault> {
        for key in self.rows(keys, values)? {
            self.rows(delete, key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use towline_protocol::{Glob, Report};

    use super::*;
    use crate::{hub::store::column::int, testing};

    fn store() -> Store {
        let store = testing::store();
        for cause in ["one", "two"] {
            let candidate = testing::candidate("octo-org/web", cause);
            store.commit(candidate, 1, Timestamp::UNIX_EPOCH).unwrap();
        }
        store
    }

    fn report(cause: &str, service: Option<&str>, attempt: u32) -> Report {
        let outcome = service.map(|_| "succeeded");
        let report = json!({
            "intent": IntentId::of_key(cause), "service": service, "attempt": attempt,
            "outcome": outcome, "started_at": "2026-11-20T15:00:00Z",
        });
        serde_json::from_value(report).unwrap()
    }

    fn keep(store: &Store, host: &str, reports: &[Report], now_ms: u64) {
        let kept = store.keep(&host.parse().unwrap(), &[Glob::new("*")], reports, now_ms);
        assert_eq!(kept.unwrap().accepted as usize, reports.len());
    }

    fn count(store: &Store, table: &str, host: &str) -> u64 {
        let query = format!("SELECT count(*) FROM {table} WHERE host = ?");
        let row = store.row(&query, vec![host.into()]).unwrap();
        int(&row.unwrap(), 0).unwrap()
    }

    fn has(store: &Store, service: &str, attempt: u32) -> bool {
        let query = "SELECT 1 FROM report WHERE service = ? AND attempt = ?";
        let values = vec![service.into(), number(attempt.into()).unwrap()];
        store.row(query, values).unwrap().is_some()
    }

    #[test]
    fn of_one_host_and_intent_the_newest_two_hundred_stay_and_what_acknowledges_it() {
        let store = store();
        keep(&store, "pi", &[report("one", None, 1)], 1);
        keep(&store, "pi", &[report("two", Some("web"), 1)], 1);
        keep(&store, "nas", &[report("one", Some("web"), 1)], 1);
        for second in 2..=6 {
            let batch = second * 100..second * 100 + 100;
            let batch: Vec<_> = batch.map(|n| report("one", Some("web"), n)).collect();
            keep(&store, "pi", &batch, second.into());
        }
        assert_eq!(
            count(&store, "report", "pi"),
            200 + 1,
            "and that on the other"
        );
        assert_eq!(count(&store, "report", "nas"), 1);
        assert!(has(&store, "", 1) && has(&store, "web", 699) && has(&store, "web", 501));
        assert!(!has(&store, "web", 500) && !has(&store, "web", 200));
    }

    #[test]
    fn of_what_one_host_said_last_the_newest_hundred_services_stay() {
        let store = store();
        keep(&store, "nas", &[report("one", Some("web"), 1)], 1);
        for second in 1..=5 {
            let batch = second * 100..second * 100 + 100;
            let batch: Vec<_> = batch
                .map(|n| report("one", Some(&format!("made-up-{n}")), 1))
                .collect();
            keep(&store, "pi", &batch, second);
        }
        assert_eq!(
            (count(&store, "said", "pi"), count(&store, "said", "nas")),
            (100, 1)
        );
        let said = store.said().unwrap();
        assert!(said.keys().all(|(host, service)| {
            host.as_str() == "nas" || service.as_str().starts_with("made-up-5")
        }));
    }
}
