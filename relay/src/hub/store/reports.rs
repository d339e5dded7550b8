//! The hub's reports: what hosts said, and how an intent fares by it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use towline_protocol::{Glob, HostName, IntentId, IntentStatus, MAX_ANSWER, Report};

use super::{
    Store,
    column::{Value, body, failed, int, number, parsed, string, text, time},
};
use crate::{
    api::{
        report,
        status::{self, Heard},
    },
    error::Fault,
    hub::ask::Kept,
};

impl Store {
    /// How an intent fares, as much as fits into one answer; `None` when there is no such intent.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn status(
        &self,
        id: &IntentId,
        now: Timestamp,
        heard_at: impl Fn(&HostName) -> Option<Timestamp>,
    ) -> Result<Option<IntentStatus>, Fault> {
        let Some(intent) = self.intent(id)? else {
            return Ok(None);
        };
        // With max(), SQLite takes the other columns from the row that has it ("SELECT", section 2.5).
        let query = format!(
            "SELECT host, (SELECT max(received_ms) FROM report AS said \
             WHERE said.intent = report.intent AND said.host = report.host), \
             {}, max(attempt) FROM report WHERE intent = ? GROUP BY host, service",
            self.told(id)?
        );
        let rows = self.rows(&query, vec![text(id)])?;
        let listeners = self.last_seen(&intent.channel)?;
        let listening: BTreeSet<_> = listeners.iter().map(|one| &one.host).collect();
        let mut said = Vec::new();
        for heard in rows.iter().map(|row| heard(row)) {
            let heard = heard?;
            if listening.contains(&heard.host) || !self.was_stray(&heard.host, id)? {
                said.push(heard);
            }
        }
        let mut status = status::status(intent, said);
        status::add_silent(&mut status, listeners, now, heard_at);
        Ok(Some(status::fit(status)))
    }

    /// As much of each report as all of them together can be told with, as SQL: the answer is cut to its cap in the
    /// end, but the hub's memory is small, and a thousand log tails are many times the cap.
    fn told(&self, id: &IntentId) -> Result<&'static str, Fault> {
        for told in ["body", WITHOUT_LOG, WITHOUT_STEPS] {
            let query = format!(
                "SELECT coalesce(sum(size), 0) FROM (SELECT length({told}) AS size, max(attempt) \
                 FROM report WHERE intent = ? GROUP BY host, service)"
            );
            let row = self.row(&query, vec![text(id)])?;
            let size = row.map_or(Ok(0), |row| int(&row, 0))?;
            if size <= MAX_ANSWER as u64 {
                return Ok(told);
            }
        }
        Ok(WITHOUT_MESSAGE)
    }

    /// Keeps a host's reports, of each intent the newest. Of those about unknown intents the newest are kept too; one about a known intent on a
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
            left_out: Vec::new(),
        };
        let (mut has_strays, mut known) = (false, BTreeSet::new());
        for report in reports {
            let about = self.about(&report.intent, channels)?;
            if about == About::OtherChannel {
                if !kept.left_out.contains(&report.intent) {
                    kept.left_out.push(report.intent.clone());
                }
                continue;
            }
            has_strays |= about == About::Unknown;
            if about == About::Known {
                known.insert(&report.intent);
                self.strike_stray(host, &report.intent)?;
            }
            self.keep_one(host, report, about, now_ms)?;
            kept.accepted = kept.accepted.saturating_add(1);
        }
        if has_strays {
            self.drop_oldest_strays(host)?;
        }
        if !known.is_empty() {
            self.drop_excess(host, &known)?;
        }
        Ok(kept)
    }

    fn about(&self, id: &IntentId, channels: &[Glob]) -> Result<About, Fault> {
        let row = self.row("SELECT channel FROM intent WHERE id = ?", vec![text(id)])?;
        let Some(row) = row else {
            return Ok(About::Unknown);
        };
        let channel = string(&row, 0)?;
        let is_allowed = channels.iter().any(|glob| glob.matches(channel));
        Ok(if is_allowed {
            About::Known
        } else {
            About::OtherChannel
        })
    }

    fn keep_one(
        &self,
        host: &HostName,
        report: &Report,
        about: About,
        now_ms: u64,
    ) -> Result<(), Fault> {
        let service = report.service.as_ref().map_or("", |name| name.as_str());
        let key = vec![
            text(&report.intent),
            text(host),
            service.into(),
            number(u64::from(report.attempt))?,
        ];
        let query = "SELECT body FROM report \
                     WHERE intent = ? AND host = ? AND service = ? AND attempt = ?";
        if let Some(row) = self.row(query, key.clone())? {
            let there: Report = body(&row, 0)?;
            if there == *report || !report::replaces(&there, report) {
                return Ok(());
            }
        }
        let json = serde_json::to_string(report).map_err(failed)?;
        let now = number(now_ms)?;
        let mut values = key.clone();
        values.extend([now.clone(), json.into()]);
        let insert = "INSERT OR REPLACE INTO report \
                      (intent, host, service, attempt, received_ms, body) VALUES (?, ?, ?, ?, ?, ?)";
        // Before the report, so that none is without a bound.
        if about == About::Unknown {
            self.note_stray(key, now)?;
        } else if let Some(outcome) = report.outcome {
            self.note_said(text(host), report, outcome, now)?;
        }
        self.rows(insert, values).map(drop)
    }
}

/// The order in which an answer loses what is in its reports, see [`status::fit`].
const WITHOUT_LOG: &str = "json_remove(body, '$.log_tail')";
const WITHOUT_STEPS: &str = "json_remove(body, '$.log_tail', '$.steps')";
const WITHOUT_MESSAGE: &str = "json_remove(body, '$.log_tail', '$.steps', '$.message')";

/// What a report is about, as the hub sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// An intent of the token's channels.
    Known,
    /// An intent of another channel.
    OtherChannel,
    /// No intent that there is.
    Unknown,
}

fn heard(row: &[Value]) -> Result<Heard, Fault> {
    Ok(Heard {
        host: parsed(row, 0)?,
        at: time(row, 1)?,
        report: body(row, 2)?,
    })
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use serde_json::json;
    use towline_protocol::{Revision, Source};

    use super::*;
    use crate::{
        gate::Candidate,
        hub::sql::{Database, Row, Rows, memory::Memory},
    };

    /// A database that counts the bytes of text that are read from it at once, and keeps the most.
    #[derive(Clone, Debug)]
    struct Weighed {
        memory: Memory,
        most: Rc<Cell<usize>>,
    }

    impl Database for Weighed {
        fn run(&self, statement: &str, values: Row) -> Result<Rows, Fault> {
            let rows: Vec<_> = self.memory.run(statement, values)?.collect();
            let cells = rows.iter().flatten().flatten();
            let bytes = cells.map(|value| match value {
                Value::Text(text) => text.len(),
                Value::Null | Value::Integer(_) => 0,
            });
            self.most.set(self.most.get().max(bytes.sum()));
            Ok(Box::new(rows.into_iter()))
        }
    }

    fn with_an_intent(db: &Weighed) -> (Store, IntentId) {
        let store = Store::open(Rc::new(db.clone()), 1000).unwrap();
        let candidate = Candidate {
            dedupe_key: "one".to_owned(),
            channel: "octo-org/web".parse().unwrap(),
            expires_in: None,
            source: Source::Unknown,
            revision: Revision::default(),
            image: None,
            service: None,
            hosts: Vec::new(),
        };
        let committed = store.commit(candidate, 1, Timestamp::UNIX_EPOCH).unwrap();
        (store, committed.id)
    }

    fn fail(store: &Store, id: &IntentId, hosts: usize, message: usize) {
        let report: Report = serde_json::from_value(json!({
            "intent": id, "service": "web", "attempt": 1, "outcome": "rolled_back",
            "started_at": "2026-11-20T15:00:00Z", "message": "m".repeat(message),
            "log_tail": "x".repeat(8000), "steps": [{ "step": "pull", "ms": 7 }],
        }))
        .unwrap();
        for number in 0..hosts {
            let host = format!("h{number}").parse().unwrap();
            let kept = store.keep(&host, &[Glob::new("*")], std::slice::from_ref(&report), 5);
            assert_eq!(kept.unwrap().accepted, 1);
        }
    }

    /// What is told of so many hosts that failed: the length of log tail, steps and message of each.
    fn told(hosts: usize, message: usize) -> (Vec<(usize, usize, usize)>, usize) {
        let most = Rc::default();
        let memory = Memory::new().unwrap();
        let db = Weighed { memory, most };
        let (store, id) = with_an_intent(&db);
        fail(&store, &id, hosts, message);
        db.most.set(0);
        let status = store.status(&id, Timestamp::UNIX_EPOCH, |_| None);
        let status = status.unwrap().unwrap();
        let reports = status
            .hosts
            .values()
            .flat_map(|host| host.services.values());
        let told = reports.map(|one| (one.log_tail.len(), one.steps.len(), one.message.len()));
        (told.collect(), db.most.get())
    }

    #[test]
    fn what_a_few_hosts_said_is_told_whole() {
        assert_eq!(told(100, 10).0, [(8000, 1, 10); 100]);
    }

    #[test]
    fn of_a_thousand_hosts_that_failed_no_more_is_read_than_can_be_told() {
        let (all, bytes) = told(1000, 10);
        assert_eq!(all, [(0, 1, 10); 1000]);
        assert!(bytes < 2 * MAX_ANSWER, "{bytes}");
        let (all, bytes) = told(1000, 1000);
        assert_eq!(all, [(0, 0, 0); 1000]);
        assert!(bytes < 2 * MAX_ANSWER, "{bytes}");
    }
}
