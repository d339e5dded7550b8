//! The hub's reports: what hosts said, and how an intent fares by it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use towline_protocol::{Glob, HostName, IntentId, IntentStatus, Report};

use super::{
    Store,
    column::{Value, body, failed, number, parsed, string, text, time},
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
        let query = "SELECT host, (SELECT max(received_ms) FROM report AS said \
                     WHERE said.intent = report.intent AND said.host = report.host), \
                     body, max(attempt) FROM report WHERE intent = ? GROUP BY host, service";
        let rows = self.rows(query, vec![text(id)])?;
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
            if there == *report || !report::replaces(there.outcome, report.outcome) {
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
