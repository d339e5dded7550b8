//! Choosing for each service, one at a time.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use towline_protocol::{Intent, Outcome};
use tracing::{info, warn};

use super::{LOCAL_RETRY, Poller, Stop, deploy::ENGINE_RETRY};
use crate::{
    report,
    select::{is_open, select},
    settings::Service,
    store::{Standing, StoreError},
};

/// How soon to look again whether this host's clock is right.
const CLOCK_RETRY: Duration = Duration::from_secs(60);

impl Poller {
    /// Takes every service with something to do as far as it goes now. Ends early, between services, on `stop`.
    ///
    /// Nothing is begun with a service while the journal of an earlier deploy to it is open, whatever left it so, and
    /// nothing with any service that needs an engine while that cannot be reached to take it to its end.
    ///
    /// # Errors
    /// When the store fails; the service in question keeps its turn.
    pub(super) async fn work(&mut self, stop: &Stop) -> Result<(), StoreError> {
        let now = Instant::now();
        let left = self.recover(stop).await?;
        let is_lost = self.lacks_engine(&left).await?;
        let waits = |service: &&Service| {
            left.contains(&service.name) || (is_lost && service.work.needs_engine())
        };
        let waiting = self.settings.services.iter().filter(waits);
        let held: BTreeSet<_> = waiting.map(|service| service.name.clone()).collect();
        let in_order = self.settings.in_order().into_iter();
        for service in in_order.cloned().collect::<Vec<_>>() {
            if stop.is_wanted() {
                return Ok(());
            }
            if !held.contains(&service.name) && self.todo.take(&service.name, now) {
                let served = self.serve_in_turn(&service, stop, now).await;
                if served.is_err() {
                    self.todo.again(&service.name, now + LOCAL_RETRY);
                }
                served?;
            }
        }
        if !left.is_empty() {
            self.todo.hold(held, Instant::now() + ENGINE_RETRY);
        }
        self.prune()
    }

    /// Forgets old intents that every service of the file has judged.
    fn prune(&mut self) -> Result<(), StoreError> {
        let (host, services) = (&self.host, &self.settings.services);
        for channel in self.settings.channels() {
            self.store.prune(&channel, |intent, outcomes| {
                services.iter().any(|service| {
                    is_open(host, service, intent, outcomes.get(&service.name).copied())
                })
            })?;
        }
        Ok(())
    }

    /// As [`Self::serve`], but for an intent that asked for another time, which has not come.
    async fn serve_in_turn(
        &mut self,
        service: &Service,
        stop: &Stop,
        now: Instant,
    ) -> Result<(), StoreError> {
        match self.judge(service)? {
            Some((intent, _)) if self.todo.is_put_off(&service.name, &intent.id, now) => Ok(()),
            Some((intent, standing)) => {
                self.deploy(service, &intent, standing.as_ref(), stop).await
            }
            None => Ok(()),
        }
    }

    /// Judges what there is for `service` and applies the newest.
    pub(super) async fn serve(&mut self, service: &Service, stop: &Stop) -> Result<(), StoreError> {
        match self.judge(service)? {
            Some((intent, standing)) => {
                self.deploy(service, &intent, standing.as_ref(), stop).await
            }
            None => Ok(()),
        }
    }

    /// Judges what there is for `service`; returns what is to be applied, and how its last try stands.
    ///
    /// While an operator is needed, or somebody holds the service off, the newest waits and the others are judged all the
    /// same, so that they do not pile up. So it does while a service that comes before is not at its end with it.
    pub(super) fn judge(
        &mut self,
        service: &Service,
    ) -> Result<Option<(Intent, Option<Standing>)>, StoreError> {
        let known = self.store.known(service)?;
        let now = Timestamp::now();
        let selection = select(&known.situation(&self.host, service, now));
        let mut reports = Vec::new();
        for settled in &selection.settled {
            info!(service = %service.name, intent = %settled.intent, "{}: {}", settled.outcome.as_str(), settled.message);
            let attempt = known
                .standings
                .get(&settled.intent)
                .map_or(1, |standing| standing.attempt);
            reports.push(report::of_settled(settled, &service.name, attempt, now));
            self.outcomes.push(settled.outcome);
        }
        if known.seen.as_ref() != Some(&selection.seen) || !reports.is_empty() {
            self.store
                .settle(&service.name, &selection.seen, &reports)?;
        }
        if selection.apply.is_none() || !reports.is_empty() {
            self.call_behind(&service.name);
        }
        for intent in &selection.undatable {
            warn!(service = %service.name, %intent, "not applied: it is from the future by this host's clock ({now}), so that nobody can say whether it has expired; it waits until the clock is right");
            self.failed = true;
            self.todo.again(&service.name, Instant::now() + CLOCK_RETRY);
        }
        let Some(intent) = selection.apply else {
            let mut newest = known.intents.iter().rev();
            if let Some(ahead) = newest.find(|one| selection.undatable.contains(&one.id)) {
                let standing = known.standings.get(&ahead.id);
                let why = "it is from the future by this host's clock";
                self.tell_waiting(&service.name, ahead, standing, why);
            }
            return Ok(None);
        };
        if let Some(since) = self.store.blocked(&service.name)? {
            warn!(service = %service.name, intent = %intent.id, "not applied: an operator is needed since {since}; see to it, then run `towline resolve {}`", service.name);
            self.outcomes.push(Outcome::NeedsOperator);
            let standing = known.standings.get(&intent.id);
            let why = format!("an operator is needed since {since}");
            self.tell_waiting(&service.name, &intent, standing, &why);
            return Ok(None);
        }
        let standing = known.standings.get(&intent.id).cloned();
        if let Some((why, left)) = self.held_off(&service.name)? {
            info!(service = %service.name, intent = %intent.id, "not applied: {why}");
            self.outcomes.push(Outcome::Waiting);
            self.tell_waiting(&service.name, &intent, standing.as_ref(), &why);
            self.todo.again(&service.name, Instant::now() + left);
            return Ok(None);
        }
        let has_turn = self.has_turn(service, &intent, standing.as_ref())?;
        Ok(has_turn.then_some((intent, standing)))
    }
}
