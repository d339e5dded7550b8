//! Applying what was chosen and taking interrupted deploys to their end.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use towline_protocol::{Intent, Mark, Outcome, Report, ServiceName, Source};
use tracing::info;

use super::{
    Poller, Stop,
    backoff::{IMAGE_RETRY, image_pause},
    jitter,
};
use crate::{
    apply::{Applied, ApplyError, Job, Progress, apply, recover},
    docker::RegistryTrouble,
    machine::Fault,
    report,
    settings::Service,
    store::{End, HoldChange, JournalEntry, Quarantined, Running, Standing, StoreError, Tries},
    uptime::{Uptime, Waited},
};

/// How often an intent is tried when nothing but interruptions ends the tries.
const INTERRUPTED_TRIES: u32 = 3;

/// How soon to try again when the engine cannot be reached.
pub(super) const ENGINE_RETRY: Duration = Duration::from_secs(10);

impl Poller {
    /// Applies `intent`; `standing` is how its last try stands: it waits, or it has ended and there is one more.
    pub(super) async fn deploy(
        &mut self,
        service: &Service,
        intent: &Intent,
        standing: Option<&Standing>,
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let sha = intent.revision.sha.as_ref();
        self.notices.begin(&service.name, &intent.id, sha);
        let tried = self.attempt(service, intent, standing, stop).await;
        self.over();
        tried
    }

    /// Nothing is under way any more; how it ended is published before.
    pub(super) fn over(&mut self) {
        self.publish();
        self.notices.end();
    }

    async fn attempt(
        &mut self,
        service: &Service,
        intent: &Intent,
        standing: Option<&Standing>,
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let name = &service.name;
        let attempt = next_try(standing);
        let since =
            of_try(standing, attempt).map_or_else(Timestamp::now, |standing| standing.since);
        if attempt > 1 && of_try(standing, attempt).is_none() {
            info!(service = %name, seq = intent.seq, intent = %intent.id, "trying it again, attempt {attempt}");
        }
        if standing.is_none() {
            let sha = intent
                .revision
                .sha
                .as_ref()
                .map_or("none", |sha| sha.short());
            info!(service = %name, seq = intent.seq, sha = %sha, intent = %intent.id, "picked up {}", cause(intent));
        }
        let job = Job {
            service,
            intent,
            attempt,
            deploy: random_deploy(),
        };
        let mut tell = |progress: Progress| self.notices.tell(name, &progress);
        let (mut stop, mut leave) = (stop.clone(), stop.clone());
        let applied = match self.engine.get().await {
            Ok(engine) => {
                let (stop, leave) = (stop.wanted(), leave.leave());
                apply(engine, &mut self.store, &job, stop, leave, &mut tell).await
            }
            Err(error) => Err(ApplyError::Engine(error)),
        };
        match applied {
            Ok(applied) => {
                let entry = JournalEntry {
                    deploy: job.deploy,
                    service: name.clone(),
                    intent: intent.id.clone(),
                    attempt,
                    body: String::new(),
                    on_purpose: None,
                };
                self.close(&entry, Some(service), standing, since, applied)
            }
            Err(stopped @ (ApplyError::Stopped | ApplyError::Left(_))) => {
                self.note_stop(name, &stopped);
                Ok(())
            }
            Err(error) => self.note_trouble(name, error),
        }
    }

    /// What somebody asked to stop is for the next process.
    fn note_stop(&mut self, service: &ServiceName, stopped: &ApplyError) {
        self.notices.warn(service, &stopped.to_string());
        self.failed |= matches!(stopped, ApplyError::Left(_));
    }

    /// Keeps an intent that could not be applied for later.
    fn note_trouble(&mut self, service: &ServiceName, error: ApplyError) -> Result<(), StoreError> {
        if let ApplyError::Store(error) = error {
            return Err(error);
        }
        let why = format!("{error}; trying again in {} s", ENGINE_RETRY.as_secs());
        self.notices.warn(service, &why);
        self.failed = true;
        self.engine.forget();
        self.todo.again(service, Instant::now() + ENGINE_RETRY);
        Ok(())
    }

    /// Takes deploys that a crash, an engine or a disk has interrupted to their end.
    ///
    /// Returns the services of those that are not: one that the engine fails keeps none of the others waiting. When the
    /// engine cannot be reached, or `stop` is wanted, the rest is not tried.
    pub(super) async fn recover(
        &mut self,
        stop: &Stop,
    ) -> Result<BTreeSet<ServiceName>, StoreError> {
        let mut left = BTreeSet::new();
        let mut goes_on = true;
        let open = self.store.open_journals()?;
        self.unclosed
            .retain(|deploy, _| open.iter().any(|entry| entry.deploy == *deploy));
        for entry in open {
            if !goes_on {
                left.insert(entry.service);
                continue;
            }
            info!(service = %entry.service, deploy = %entry.deploy, "taking an interrupted deploy to its end");
            self.notices.begin(&entry.service, &entry.intent, None);
            let recovered = self.recover_one(&entry, stop).await;
            self.over();
            if !recovered? {
                left.insert(entry.service);
                goes_on = !stop.is_wanted() && self.reaches_engine().await;
            }
        }
        Ok(left)
    }

    /// Whether the engine answers now.
    pub(super) async fn reaches_engine(&mut self) -> bool {
        self.engine.get().await.is_ok()
    }

    /// Takes one to its end, unless the engine cannot be reached.
    async fn recover_one(&mut self, entry: &JournalEntry, stop: &Stop) -> Result<bool, StoreError> {
        let mut leave = stop.clone();
        let mut services = self.settings.services.iter();
        let service = services
            .find(|service| service.name == entry.service)
            .cloned();
        let mut tell = |progress: Progress| self.notices.tell(&entry.service, &progress);
        let recovered = match self.unclosed.get(&entry.deploy) {
            Some(ended) => Ok(ended.clone()),
            None => match self.engine.get().await {
                Ok(engine) => {
                    let (store, leave) = (&mut self.store, leave.leave());
                    recover(engine, store, entry, service.as_ref(), leave, &mut tell).await
                }
                Err(error) => Err(ApplyError::Engine(error)),
            },
        };
        match recovered {
            Ok(applied) => {
                let standing = self.store.standings(&entry.service)?.remove(&entry.intent);
                let since = of_try(standing.as_ref(), entry.attempt)
                    .map_or_else(Timestamp::now, |standing| standing.since);
                self.close(entry, service.as_ref(), standing.as_ref(), since, applied)?;
                Ok(true)
            }
            Err(stopped @ ApplyError::Left(_)) => {
                self.note_stop(&entry.service, &stopped);
                Ok(false)
            }
            Err(error) => {
                self.note_trouble(&entry.service, error)?;
                Ok(false)
            }
        }
    }

    /// Keeps how a try ended, now or, when the disk refuses that, with the next recovery: what was done is not done again.
    fn close(
        &mut self,
        entry: &JournalEntry,
        service: Option<&Service>,
        standing: Option<&Standing>,
        since: Timestamp,
        applied: Applied,
    ) -> Result<(), StoreError> {
        let closed = self.end(entry, service, standing, since, applied.clone());
        match closed {
            Ok(()) => self.unclosed.remove(&entry.deploy),
            Err(_) => self.unclosed.insert(entry.deploy.clone(), applied),
        };
        closed
    }

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
        self.wait(&mut applied, entry, service, &waited);
        let before = self.store.running(&entry.service)?;
        let before = before.filter(|running| {
            running.side.digest.is_some() && running.side.digest == applied.from.digest
        });
        if let Some(running) = &before {
            applied.from.sha = running.side.sha.clone();
        }
        let told = standing.is_some_and(|standing| standing.outcome == applied.outcome);
        if told && !applied.outcome.is_terminal() {
            self.outcomes.push(applied.outcome);
            self.notices
                .note_end(Some(applied.outcome), &applied.message);
            let (service, intent) = (&entry.service, &entry.intent);
            return self
                .store
                .keep_waiting(service, intent, waited, applied.message);
        }
        let mut after = self.after(entry, &mut applied, interruptions, now)?;
        after.tries.waited = waited;
        after.left = std::mem::take(&mut applied.left);
        let report = report::fitted(finished(entry, applied, since, now));
        let end = End {
            report: Some(report.clone()),
            running: running(&report, before.as_ref(), now),
            hold: hold(&report),
            ..after
        };
        self.store
            .close_journal(&entry.deploy, &entry.service, &end)?;
        if !end.tries.again {
            self.outcomes.extend(report.outcome);
        }
        self.notices.tell_end(&report);
        if end.tries.again {
            self.todo.again(&entry.service, Instant::now());
        }
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
        let wait = service
            .map(|service| service.image_wait)
            .unwrap_or_default();
        let left = wait.checked_sub(waited.duration());
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            let at = Instant::now() + retry.min(left);
            return self.todo.again(&entry.service, at);
        }
        applied.outcome = applied.after_wait;
        let wait = wait.as_secs();
        let waited = format!("; waited {wait}s for it (image_wait)");
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
            let proved = applied.gate.and(applied.to.digest.clone());
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
                if again {
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

/// Which try comes next; `standing` is how the last one stands: one that waits goes on.
pub(super) fn next_try(standing: Option<&Standing>) -> u32 {
    standing.map_or(1, |standing| {
        standing.attempt + u32::from(standing.outcome.is_terminal())
    })
}

/// How the try `attempt` itself stands, if that is the one which `standing` is about.
fn of_try(standing: Option<&Standing>, attempt: u32) -> Option<&Standing> {
    standing.filter(|standing| standing.attempt == attempt)
}

/// The version that failed with `intent`, if its digest is known.
fn quarantined(intent: &Intent, applied: &Applied, since: Timestamp) -> Option<Quarantined> {
    Some(Quarantined {
        digest: applied.to.digest.clone()?,
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

/// What runs after a deploy that took effect; `before` is what the last one had brought, if that still ran. What runs
/// on unchanged does so since it was brought.
fn running(report: &Report, before: Option<&Running>, now: Timestamp) -> Option<Running> {
    let before = if report.outcome == Some(Outcome::Succeeded) {
        None
    } else if report.outcome == Some(Outcome::Unchanged) {
        before
    } else {
        return None;
    };
    Some(Running {
        side: report.to.clone(),
        intent: Some(report.intent.clone()),
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

fn cause(intent: &Intent) -> String {
    match &intent.source {
        Source::WorkflowRun(run) => format!("run {} of {}", run.run_number, run.repository),
        Source::Manual { by, .. } => format!("what {by} asked for"),
        Source::Unknown => "an intent".to_owned(),
    }
}

/// A deploy's own name: 8 random hex digits.
pub(super) fn random_deploy() -> String {
    format!("{:08x}", super::random())
}
