//! After a deploy has succeeded: looking now and then whether its version is well still, and telling that once.
//!
//! Nothing is undone any more: the old version is gone, and what was good for a while may fail for reasons of its own. The
//! log says it, and so does the report of the deploy, which takes the place of the one that was sent.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use towline_protocol::{IntentId, Outcome, Report, ServiceName};
use tracing::{info, warn};

use super::{Poller, roll_back::in_effect};
use crate::{
    report::fitted,
    status::{Change, Seen, ServiceStatus, Sought, Status, look_at_containers},
    store::{CauseKind, HISTORY, Past, Running, Standing, StoreError},
};

/// How often it is looked.
pub(super) const LOOK: Duration = Duration::from_secs(30);

impl Poller {
    /// Looks at the containers, beside everything else. Nobody is asked as long as nothing was deployed, where nothing has
    /// containers, or when the state cannot be read: that is told in the log, and keeps nothing from going on.
    pub(super) fn watch(&self) -> Option<oneshot::Receiver<Seen>> {
        let status = self.recorded().inspect_err(told_only).ok()?;
        if status
            .services
            .iter()
            .all(|service| service.deployed.is_none())
        {
            return None;
        }
        let sought = status.sought();
        if !sought.iter().any(Sought::needs_engine) {
            return None;
        }
        let docker_host = self.engine.address().map(str::to_owned);
        let (answer, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let seen = look_at_containers(docker_host.as_deref(), &sought).await;
            answer.send(seen).ok();
        });
        Some(receiver)
    }

    /// Tells what is new. An engine that does not answer says nothing about the services. What cannot be kept is told by
    /// the log alone, and once more after the next look.
    pub(super) fn note_seen(&mut self, seen: Seen) {
        let now = Timestamp::now();
        let status = match self.recorded() {
            Ok(status) => status.with_seen(seen, now),
            Err(error) => return told_only(&error),
        };
        for service in &status.services {
            self.note_service(service, now)
                .unwrap_or_else(|error| told_only(&error));
        }
    }

    fn note_service(&mut self, service: &ServiceStatus, now: Timestamp) -> Result<(), StoreError> {
        let name = &service.name;
        let Some(running) = self.store.running(name)? else {
            return Ok(());
        };
        let Some(change) = self.watch.note(service, running.unwell.as_ref(), now) else {
            return Ok(());
        };
        match change.until {
            None => warn!(service = %name, "{change}; nothing is undone"),
            Some(_) => info!(service = %name, "well again: {change}"),
        }
        let report = self.extended(name, &running, &change)?;
        self.store
            .note_unwell(name, change.unwell(), report.as_ref())
    }

    fn recorded(&self) -> Result<Status, StoreError> {
        Status::recorded(&self.store, &self.settings, &self.host, Timestamp::now())
    }

    /// The last word to the relay on the intent that has brought what runs, with what has become of it since. An end that
    /// has not been sent keeps its log; of one that was sent the log is not known here any more.
    fn extended(
        &self,
        service: &ServiceName,
        running: &Running,
        change: &Change,
    ) -> Result<Option<Report>, StoreError> {
        let Some(id) = &running.intent else {
            return Ok(None);
        };
        let past = self.store.history(Some(service), HISTORY)?;
        let standing = self.store.standings(service)?.remove(id);
        let Some(mut report) = last_word(&past, id, running, standing.as_ref()) else {
            return Ok(None);
        };
        if let Some(unsent) = self.store.unsent_phase(&report)? {
            report.log_tail = unsent.log_tail;
        }
        report.message.push_str(&format!("; {change}"));
        Ok(Some(fitted(report)))
    }
}

/// What the relay was last told of the intent `id`, which has brought what is `running`, by what has ended, the newest
/// first, and by how it stands. `None` when the relay was told something else last, which nothing may take the place of.
fn last_word(
    past: &[Past],
    id: &IntentId,
    running: &Running,
    standing: Option<&Standing>,
) -> Option<Report> {
    let is_back = |past: &Past| past.cause.kind == CauseKind::Rollback;
    let mut tries = past
        .iter()
        .filter(|past| past.report.intent == *id && !is_back(past));
    let newest = tries.clone().map(|past| past.report.attempt).max();
    let attempt = standing.map(|standing| standing.attempt).or(newest)?;
    if let Some(last) = tries.find(|past| past.report.attempt == attempt) {
        let took_effect = [Outcome::Succeeded, Outcome::Unchanged].map(Some);
        return took_effect
            .contains(&last.report.outcome)
            .then(|| last.report.clone());
    }
    standing.filter(|standing| standing.outcome == Outcome::Succeeded)?;
    let back = past.iter().find(|past| {
        is_back(past)
            && past.report.outcome == Some(Outcome::Succeeded)
            && past.report.to.digest == running.side.digest
    })?;
    Some(in_effect(&back.report, id.clone(), attempt))
}

/// What only shows things never stands before what serves.
fn told_only(error: &StoreError) {
    warn!("whether what was deployed is still well cannot be told: {error}");
}
