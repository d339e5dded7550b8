//! After a deploy has succeeded: looking now and then whether its version is well still, and telling that once.
//!
//! Nothing is undone any more: the old version is gone, and what was good for a while may fail for reasons of its own. The
//! log says it, and so does the report of the deploy, which takes the place of the one that was sent.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use towline_protocol::{IntentId, Outcome, ServiceName};
use tracing::{info, warn};

use super::Poller;
use crate::{
    report::fitted,
    status::{Change, Seen, Status, look},
    store::{CauseKind, HISTORY, Past, StoreError},
};

/// How often it is looked.
pub(super) const LOOK: Duration = Duration::from_secs(30);

impl Poller {
    /// Looks at the containers, beside everything else. Nobody is asked as long as nothing was deployed.
    pub(super) fn watch(&self) -> Result<Option<oneshot::Receiver<Seen>>, StoreError> {
        let status = self.recorded()?;
        if status
            .services
            .iter()
            .all(|service| service.deployed.is_none())
        {
            return Ok(None);
        }
        let containers = status.containers();
        let docker_host = self.engine.address().map(str::to_owned);
        let (answer, receiver) = oneshot::channel();
        tokio::spawn(async move {
            answer
                .send(look(docker_host.as_deref(), &containers).await)
                .ok();
        });
        Ok(Some(receiver))
    }

    /// Tells what is new. An engine that does not answer says nothing about the services.
    ///
    /// # Errors
    /// When the store fails; what was seen is told by the log nevertheless.
    pub(super) fn note_seen(&mut self, seen: Seen) -> Result<(), StoreError> {
        if seen.is_err() {
            return Ok(());
        }
        let now = Timestamp::now();
        let status = self.recorded()?.with_seen(seen, now);
        for service in &status.services {
            let Some(change) = self.watch.note(service, now) else {
                continue;
            };
            let name = &service.name;
            match change.until {
                None => warn!(service = %name, "{change}; nothing is undone"),
                Some(_) => info!(service = %name, "well again: {change}"),
            }
            if let Some(deployed) = &service.deployed {
                self.report_again(name, deployed.intent.as_ref(), &change)?;
            }
        }
        Ok(())
    }

    fn recorded(&self) -> Result<Status, StoreError> {
        Status::recorded(&self.store, &self.settings, &self.host, Timestamp::now())
    }

    /// Reports the success of `intent` once more, with what has become of it.
    fn report_again(
        &mut self,
        service: &ServiceName,
        intent: Option<&IntentId>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let past = self.store.history(Some(service), HISTORY)?;
        let brought = past.into_iter().find(|past| {
            Some(&past.report.intent) == intent
                && past.report.outcome == Some(Outcome::Succeeded)
                && past.cause.kind != CauseKind::Rollback
        });
        if let Some(Past { mut report, .. }) = brought {
            report.message.push_str(&format!("; {change}"));
            self.store.spool(&fitted(report))?;
        }
        Ok(())
    }
}
