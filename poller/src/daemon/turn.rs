//! Services that come after others: waiting for them, ending with them, going on when they have ended.
//!
//! Whether an intent has its turn is decided by `select`. Nothing is kept in memory: what waits is judged anew when a service
//! before it has come to an end, and after a restart.

use std::time::Instant;

use jiff::Timestamp;
use towline_protocol::{Intent, Outcome, Report, ServiceName};
use tracing::info;

use super::{Declined, Poller, deploy::next_try, ending::since};
use crate::{
    report,
    select::{Turn, in_the_way, is_open, waits_for},
    settings::Service,
    store::{JournalEntry, Standing, StoreError},
};

impl Poller {
    /// Whether `intent` has its turn with `service`. If not, it waits, or has come to its end without being begun;
    /// `standing` is how its last try stands.
    pub(super) fn has_turn(
        &mut self,
        service: &Service,
        intent: &Intent,
        standing: Option<&Standing>,
    ) -> Result<bool, StoreError> {
        match self.turn(service, intent)? {
            Turn::Now => Ok(true),
            Turn::Later(before) => {
                let why = waits_for(&before);
                info!(service = %service.name, intent = %intent.id, "{why}");
                self.tell_waiting(&service.name, intent, standing, &why);
                Ok(false)
            }
            Turn::Never { before, outcome } => {
                let why = in_the_way(&before, outcome);
                let report = stopped(service, intent, standing, &before, &why);
                self.store.stop_behind(&before, &report)?;
                self.pending.remove(&service.name);
                self.outcomes.extend(report.outcome);
                self.notices.tell_end(&report);
                self.call_behind(&service.name);
                Ok(false)
            }
        }
    }

    /// Declines to try `intent` again with `service` as long as a service before it has not got there.
    pub(super) fn check_turn(&self, service: &Service, intent: &Intent) -> Result<(), Declined> {
        let name = || service.name.clone();
        match self.turn(service, intent)? {
            Turn::Now => Ok(()),
            Turn::Later(before) => Err(Declined::Waits {
                service: name(),
                why: waits_for(&before),
            }),
            Turn::Never { before, outcome } => Err(Declined::Behind {
                service: name(),
                why: in_the_way(&before, outcome),
                before,
            }),
        }
    }

    fn turn(&self, service: &Service, intent: &Intent) -> Result<Turn, StoreError> {
        let (host, settings, now) = (&self.host, &self.settings, Timestamp::now());
        self.store.turn(host, settings, service, intent, now)
    }

    /// Gives those that come after `name` their turn: it has come to an end.
    pub(super) fn call_behind(&mut self, name: &ServiceName) {
        let now = Instant::now();
        for behind in self.settings.behind(name) {
            self.todo.again(&behind.name, now);
        }
    }

    /// What the end of a try means for those that come after its service, for people, if it means anything.
    pub(super) fn aftermath(
        &self,
        entry: &JournalEntry,
        outcome: Outcome,
    ) -> Result<Option<String>, StoreError> {
        let took_effect = matches!(outcome, Outcome::Succeeded | Outcome::Unchanged);
        let Some(intent) = self.store.intent(&entry.intent)? else {
            return Ok(None);
        };
        let mut names = Vec::new();
        for behind in self.settings.behind(&entry.service) {
            let standing = self.store.standings(&behind.name)?.remove(&intent.id);
            let stopped_by = standing.as_ref().and_then(|it| it.stopped_by.as_ref());
            let was_stopped = stopped_by == Some(&entry.service);
            let outcome = standing.map(|standing| standing.outcome);
            let is_stopped = is_open(&self.host, behind, &intent, outcome);
            if (took_effect && was_stopped) || (!took_effect && is_stopped) {
                names.push(behind.name.as_str());
            }
        }
        let (all, one) = (names.join(" and "), names.len() == 1);
        Ok(match (names.first(), took_effect) {
            (None, _) => None,
            (Some(first), true) => {
                let was = if one { "was" } else { "were" };
                let order = if one { "" } else { " and so on, in this order" };
                Some(format!(
                    "; {all} {was} stopped by its failure before: `towline retry {first}`{order}"
                ))
            }
            (Some(_), false) => {
                let (comes, is) = if one {
                    ("comes", "is")
                } else {
                    ("come", "are")
                };
                Some(format!(
                    "; {all}, which {comes} after it, {is} not applied either"
                ))
            }
        })
    }
}

/// The end of a try that was not begun, since the service `before` has not got there.
fn stopped(
    service: &Service,
    intent: &Intent,
    standing: Option<&Standing>,
    before: &ServiceName,
    why: &str,
) -> Report {
    let name = &service.name;
    let attempt = next_try(standing);
    let begun = since(standing, attempt);
    let message = format!(
        "{name}: not begun: {why}; `towline retry {before}`, then `towline retry {name}`, or the next intent"
    );
    let ended = Outcome::FailedUntouched;
    report::fitted(Report {
        finished_at: Some(Timestamp::now()),
        message,
        ..report::blank(intent.id.clone(), name, attempt, ended, begun)
    })
}
