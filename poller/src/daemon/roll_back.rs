//! Going back on purpose, for an operator: what stands in its way, and what changes with its end. Not here: which version it
//! leads to, and the deploy there (`go_back`).
//!
//! Works without the relay and without a registry. What the relay is told waits in the spool like any report.

use jiff::Timestamp;
use towline_protocol::{IntentId, Outcome, Report, ServiceName};

use super::{Declined, Poller, Stop, ending};
use crate::{
    apply::Applied,
    report,
    settings::Work,
    store::{
        Cause, CauseKind, End, Hold, HoldChange, JournalEntry, OnPurpose, Past, Quarantined,
        Running, StoreError,
    },
    version::VersionId,
};

impl Poller {
    /// Takes `service` back to the version whose digest or commit begins with `to`, or to the one before the current one. Returns
    /// how that ended: `succeeded` when the earlier version runs.
    ///
    /// # Errors
    /// See [`Declined`].
    pub async fn roll_back(
        &mut self,
        service: &ServiceName,
        to: Option<&str>,
        stop: &Stop,
    ) -> Result<Report, Declined> {
        let service = self.service(service)?;
        let name = &service.name;
        if self.recover(stop).await?.contains(name) {
            return Err(Declined::Unfinished);
        }
        if let Some(since) = self.store.blocked(name)? {
            let service = name.clone();
            return Err(Declined::Blocked { service, since });
        }
        self.refuse_held_off(name)?;
        match &service.work {
            Work::Docker { .. } => self.container_back(&service, to, stop).await,
            Work::Parts(parts) => self.parts_back(&service, parts, to, stop).await,
        }
    }

    /// Keeps how a rollback on purpose ended, with all that changes with it.
    pub(super) fn end_on_purpose(
        &mut self,
        entry: &JournalEntry,
        on_purpose: &OnPurpose,
        since: Timestamp,
        mut applied: Applied,
    ) -> Result<Report, StoreError> {
        for text in [&mut applied.message, &mut applied.log_tail] {
            *text = self.secrets.hide(text);
        }
        if applied.outcome == Outcome::Waiting {
            // Nobody waits for an operator's order: all is as it was.
            applied.outcome = Outcome::RolledBack;
            applied.message.push_str("; ask again later");
        }
        let now = Timestamp::now();
        let left = std::mem::take(&mut applied.left);
        let kept = applied.kept.take();
        let running = Running {
            side: applied.to.clone(),
            version: applied.version.clone(),
            revision: applied.revision.clone(),
            placed: applied.placed.clone(),
            intent: on_purpose.brought.clone(),
            since: now,
            unwell: None,
        };
        let own = report::fitted(ending::finished(entry, applied, since, now));
        let end = End {
            left,
            kept,
            also: self.in_effect_again(&own, on_purpose)?,
            ..end(&own, on_purpose, running)
        };
        self.store
            .close_journal(&entry.deploy, &entry.service, &end)?;
        self.outcomes.extend(own.outcome);
        self.notices.tell_end(&own);
        self.call_behind(&entry.service);
        Ok(own)
    }
}

impl Poller {
    /// What the relay is told of the intent that had brought the version gone back to, as long as it is known here: its
    /// last word on it may be that it was left.
    fn in_effect_again(
        &self,
        own: &Report,
        on_purpose: &OnPurpose,
    ) -> Result<Option<Report>, StoreError> {
        let (Some(service), Some(id)) = (&own.service, &on_purpose.brought) else {
            return Ok(None);
        };
        if own.outcome != Some(Outcome::Succeeded) || self.store.intent(id)?.is_none() {
            return Ok(None);
        }
        let tried = self.store.standings(service)?.remove(id);
        let tried = tried.map_or(0, |standing| standing.attempt);
        let told = own.attempt * u32::from(own.intent == *id);
        Ok(Some(in_effect(own, id.clone(), tried.max(told) + 1)))
    }
}

/// What the relay is told of `intent`, whose version a rollback on purpose, which `own` tells of, has gone back to.
pub(super) fn in_effect(own: &Report, intent: IntentId, attempt: u32) -> Report {
    report::fitted(Report {
        intent,
        attempt,
        message: format!("in effect again (towline rollback): {}", own.message),
        ..own.clone()
    })
}

/// What changes with the end of a rollback on purpose, which `own` tells of as this host saw it; `running` is what runs then
/// if it succeeded. When the current version has stayed, only the history hears of it.
fn end(own: &Report, on_purpose: &OnPurpose, running: Running) -> End {
    let (now, version) = (running.since, running.version());
    let cause = Cause {
        kind: CauseKind::Rollback,
        ..Cause::default()
    };
    let past = Past {
        report: own.clone(),
        cause,
    };
    let end = End {
        past: Some(past),
        ..End::default()
    };
    match own.outcome {
        Some(Outcome::Succeeded) => End {
            report: on_purpose.is_reported.then(|| told(own)),
            running: Some(running),
            failed: left(own, on_purpose).map(|version| Quarantined {
                version,
                sha: own.from.sha.clone(),
                intent: on_purpose.is_reported.then(|| own.intent.clone()),
                channel: on_purpose.channel.clone(),
                place: on_purpose.known,
                since: now,
                why: "left on purpose by `towline rollback`".to_owned(),
                on_purpose: true,
            }),
            // Without a gate it does not run, which proves nothing.
            proved: own.gate.and(version),
            hold: HoldChange::Begin(Hold {
                channel: on_purpose.channel.clone(),
                place: on_purpose.known,
                since: now,
                why: "taken back on purpose by `towline rollback`".to_owned(),
            }),
            ..end
        },
        Some(Outcome::NeedsOperator) => End {
            report: Some(own.clone()),
            ..end
        },
        Some(
            Outcome::RolledBack
            | Outcome::FailedUntouched
            | Outcome::Waiting
            | Outcome::Applying
            | Outcome::Unchanged
            | Outcome::Superseded
            | Outcome::Stale
            | Outcome::Expired
            | Outcome::Quarantined
            | Outcome::Refused,
        )
        | None => end,
    }
}

/// What the version is known by that was left. What an older version of towline has begun does not say.
fn left(own: &Report, on_purpose: &OnPurpose) -> Option<VersionId> {
    let of_image = || own.from.digest.clone().map(VersionId::Digest);
    on_purpose.left.clone().or_else(of_image)
}

/// What the relay is told of a rollback on purpose: as of any that was rolled back, `from` is what runs and `to` what was
/// left.
fn told(own: &Report) -> Report {
    report::fitted(Report {
        outcome: Some(Outcome::RolledBack),
        gate: None,
        from: own.to.clone(),
        to: own.from.clone(),
        message: format!("taken back on purpose (towline rollback): {}", own.message),
        ..own.clone()
    })
}
