//! What follows from how a try ended: what is kept and told of it, and whether there is another one.
//!
//! Not here: the try itself (`deploy`), and the ends of rollbacks on purpose (`roll_back`).

use std::time::{Duration, Instant};

use jiff::Timestamp;
use towline_protocol::{Intent, IntentId, Mark, Outcome, Report, ServiceName};

use super::{Poller, jitter};
use crate::{
    apply::Applied,
    backoff::{COMMIT_WAIT, IMAGE_RETRY, image_pause},
    docker::RegistryTrouble,
    machine::Fault,
    report,
    settings::Service,
    store::{End, HoldChange, JournalEntry, Quarantined, Running, Standing, StoreError, Tries},
    uptime::{Awaited, Uptime, Waited},
};

/// How often an intent is tried when nothing but interruptions ends the tries.
const INTERRUPTED_TRIES: u32 = 3;

impl Poller {
    /// Keeps how a try ended: journal, outcome and report in one transaction.
    pub(super) fn end(
        &mut self,
        entry: &JournalEntry,
        service: Option<&Service>,
        standing: Option<&Standing>,
        since: Timestamp,
        mut applied: Applied,
    ) -> Result<(), StoreError> {
        if let Some(on_purpose) = &entry.on_purpose {
            return self
                .end_on_purpose(entry, on_purpose, since, applied)
                .map(drop);
        }
        for text in [&mut applied.message, &mut applied.log_tail] {
            *text = self.secrets.hide(text);
        }
        let now = Timestamp::now();
        let interruptions = standing.map_or(0, |standing| standing.interruptions);
        let standing = of_try(standing, entry.attempt);
        let waited = standing
            .map_or_else(Waited::default, |standing| standing.waited.clone())
            .until(Some(Uptime::now()));
        let waited = if applied.pause.is_some() {
            waited.put_off()
        } else {
            waited.going_on(applied.awaited)
        };
        self.wait(&mut applied, entry, service, &waited);
        let before = self.store.running(&entry.service)?;
        let before = before.filter(|running| {
            let version = running.version();
            version.is_some() && version == applied.version_before
        });
        if let Some(running) = &before {
            applied.from.sha = running.side.sha.clone();
        }
        let pending = self.pending.remove(&entry.service);
        let was_pending = pending.is_some_and(|told| told.intent == entry.intent);
        let is_noted = standing.is_some_and(|standing| standing.outcome == applied.outcome);
        if is_noted && !applied.outcome.is_terminal() {
            self.outcomes.push(applied.outcome);
            self.notices
                .note_end(Some(applied.outcome), &applied.message);
            let (service, intent) = (&entry.service, &entry.intent);
            let why = applied.message.clone();
            self.store.keep_waiting(service, intent, waited, why)?;
            if was_pending {
                // Meanwhile the relay was told something else.
                let report = report::fitted(finished(entry, applied, since, now));
                self.store.spool(&report)?;
            }
            // A deploy that was put off had begun.
            let (deploy, nothing) = (&entry.deploy, End::default());
            return self.store.close_journal(deploy, service, &nothing);
        }
        let mut after = self.after(entry, &mut applied, interruptions, now)?;
        after.tries.waited = waited;
        after.left = std::mem::take(&mut applied.left);
        after.kept = applied.kept.take();
        if applied.outcome.is_terminal() && !after.tries.again {
            let aftermath = self.aftermath(entry, applied.outcome)?;
            applied.message.extend(aftermath);
        }
        let running = running(&applied, &entry.intent, before.as_ref(), now);
        let pause = applied.pause;
        let report = report::fitted(finished(entry, applied, since, now));
        let end = End {
            report: Some(report.clone()),
            running,
            hold: hold(&report),
            ..after
        };
        self.store
            .close_journal(&entry.deploy, &entry.service, &end)?;
        if !end.tries.again {
            self.outcomes.extend(report.outcome);
        } else if pause.is_some() {
            // This process may end before it is tried again.
            self.outcomes.push(Outcome::Waiting);
        }
        self.notices.tell_end(&report);
        if end.tries.again {
            match pause {
                Some(pause) => {
                    let at = Instant::now() + pause;
                    self.todo.put_off(&entry.service, &entry.intent, at);
                }
                None => self.todo.again(&entry.service, Instant::now()),
            }
        }
        self.call_behind(&entry.service);
        Ok(())
    }

    /// Has an image that is not there looked for again, or the try ended when it has been waited for long enough.
    fn wait(
        &mut self,
        applied: &mut Applied,
        entry: &JournalEntry,
        service: Option<&Service>,
        waited: &Waited,
    ) {
        let retry = self.image_retry(&entry.service, applied.trouble);
        if applied.outcome != Outcome::Waiting {
            return;
        }
        if let Some(pause) = applied.pause {
            let (service, at) = (&entry.service, Instant::now() + pause);
            let again = pause.as_secs();
            let when = format!(
                "; towline run tries it again in {again} s, `towline retry {service}` at once"
            );
            applied.message.push_str(&when);
            return self.todo.put_off(service, &entry.intent, at);
        }
        let wait = match applied.awaited {
            Awaited::Image => service.map(|service| service.image_wait),
            Awaited::Commit => Some(COMMIT_WAIT),
        };
        let wait = wait.unwrap_or_default();
        let left = wait.checked_sub(waited.duration());
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            let at = Instant::now() + retry.min(left);
            return self.todo.again(&entry.service, at);
        }
        applied.outcome = applied.after_wait;
        let wait = wait.as_secs();
        let waited = match applied.awaited {
            Awaited::Image => format!("; waited {wait}s for it (image_wait)"),
            Awaited::Commit => format!("; waited {wait}s for the commit, and not longer"),
        };
        applied.message.push_str(&waited);
    }

    /// How soon to look again for the image of `service`, after a try with this trouble.
    fn image_retry(&mut self, service: &ServiceName, trouble: Option<RegistryTrouble>) -> Duration {
        if !trouble.is_some_and(RegistryTrouble::wants_rest) {
            self.restless.remove(service);
            return IMAGE_RETRY;
        }
        let tries = self.restless.entry(service.clone()).or_default();
        *tries = tries.saturating_add(1);
        image_pause(*tries, jitter())
    }

    /// What follows from how a try ended: another try, or none of that digest. The message says so.
    fn after(
        &self,
        entry: &JournalEntry,
        applied: &mut Applied,
        interruptions: u32,
        now: Timestamp,
    ) -> Result<End, StoreError> {
        let nothing = End::default();
        if !applied.outcome.is_terminal() {
            let tries = Tries {
                interruptions,
                ..Tries::default()
            };
            return Ok(End { tries, ..nothing });
        }
        if applied.outcome == Outcome::Succeeded {
            // Without a gate it did not run, which proves nothing.
            let proved = applied.gate.and(applied.version.clone());
            return Ok(End { proved, ..nothing });
        }
        match applied.fault {
            Fault::Host => Ok(nothing),
            Fault::Version => {
                let intent = self.store.intent(&entry.intent)?;
                let failed = intent.and_then(|intent| quarantined(&intent, applied, now));
                if failed.is_some() && applied.outcome != Outcome::NeedsOperator {
                    applied.message.push_str(&format!(
                        "; it is not tried again by itself (`towline retry {}`)",
                        entry.service
                    ));
                }
                Ok(End { failed, ..nothing })
            }
            Fault::Interruption => {
                let interruptions = interruptions + 1;
                let again =
                    applied.outcome != Outcome::NeedsOperator && interruptions < INTERRUPTED_TRIES;
                if let (true, Some(pause)) = (again, applied.pause) {
                    let pause = pause.as_secs();
                    let when = format!("; towline run tries it again in {pause} s");
                    applied.message.push_str(&when);
                } else if again {
                    applied.message.push_str("; it is tried again");
                }
                let tries = Tries {
                    again,
                    interruptions,
                    ..Tries::default()
                };
                Ok(End { tries, ..nothing })
            }
        }
    }
}

/// How the try `attempt` itself stands, if that is the one which `standing` is about.
pub(super) fn of_try(standing: Option<&Standing>, attempt: u32) -> Option<&Standing> {
    standing.filter(|standing| standing.attempt == attempt)
}

/// When the try `attempt` was first begun: now, unless it goes on.
pub(super) fn since(standing: Option<&Standing>, attempt: u32) -> Timestamp {
    of_try(standing, attempt).map_or_else(Timestamp::now, |standing| standing.since)
}

/// The version that failed with `intent`, if it is known by anything.
fn quarantined(intent: &Intent, applied: &Applied, since: Timestamp) -> Option<Quarantined> {
    Some(Quarantined {
        version: applied.version.clone()?,
        sha: applied.to.sha.clone(),
        intent: Some(intent.id.clone()),
        channel: intent.channel.clone(),
        place: Mark {
            epoch: intent.epoch,
            seq: intent.seq,
        },
        since,
        why: report::message(&applied.message),
        on_purpose: false,
    })
}

pub(super) fn finished(
    entry: &JournalEntry,
    applied: Applied,
    since: Timestamp,
    now: Timestamp,
) -> Report {
    Report {
        finished_at: applied.outcome.is_terminal().then_some(now),
        gate: applied.gate,
        from: applied.from,
        to: applied.to,
        message: applied.message,
        log_tail: applied.log_tail,
        steps: applied.steps,
        ..report::blank(
            entry.intent.clone(),
            &entry.service,
            entry.attempt,
            applied.outcome,
            since,
        )
    }
}

/// What runs after a deploy of `intent` that took effect; `before` is what the last one had brought, if that still ran. What
/// runs on unchanged does so since it was brought.
fn running(
    applied: &Applied,
    intent: &IntentId,
    before: Option<&Running>,
    now: Timestamp,
) -> Option<Running> {
    let before = if applied.outcome == Outcome::Succeeded {
        None
    } else if applied.outcome == Outcome::Unchanged {
        before
    } else {
        return None;
    };
    Some(Running {
        side: applied.to.clone(),
        version: applied.version.clone(),
        revision: applied.revision.clone(),
        placed: applied.placed.clone(),
        intent: Some(intent.clone()),
        since: before.map_or(now, |before| before.since),
        unwell: before.and_then(|before| before.unwell.clone()),
    })
}

/// What an operator held the service for is over when an intent has come to an end: it was a newer one.
fn hold(report: &Report) -> HoldChange {
    if report.outcome.is_some_and(Outcome::is_terminal) {
        HoldChange::End
    } else {
        HoldChange::Keep
    }
}
