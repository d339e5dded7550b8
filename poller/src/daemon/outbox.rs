//! Reports on their way to the relay: which of the spool are under way, and when to send more.
//!
//! A deploy never waits for any of this. What waits in the spool is handed over before one begins, and what came of that is
//! noted when it is over.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use towline_protocol::MAX_REPORTS;
use tracing::{debug, info, warn};

use super::{Poller, bell::Bell, jitter};
use crate::{
    backoff::pause,
    doorbell::Doorbell,
    relay_client::RelayError,
    report::{Delivery, batch},
    store::{Spooled, StoreError},
};

/// Batches under way, in the order in which they were handed over.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    under_way: VecDeque<Batch>,
    failures: u32,
    /// When more may be sent, after trouble.
    next: Option<Instant>,
    /// Whether the next batch goes without the doorbell, which has lost sight of the last one.
    by_post: bool,
}

#[derive(Debug)]
struct Batch {
    /// The reports' numbers in the spool.
    ids: Vec<i64>,
    delivery: oneshot::Receiver<Delivery>,
}

impl Outbox {
    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether the relay is not to be asked yet.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        self.next.is_some_and(|at| at > now)
    }

    /// How long until more may be sent, if it is known.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let at = self.next.filter(|_| self.is_idle());
        at.map(|at| at.saturating_duration_since(now))
    }

    /// The doorbell, if the next batch goes by it.
    pub(super) fn way<'a>(&self, bell: &'a Bell) -> Option<&'a Doorbell> {
        bell.open().filter(|_| !self.by_post)
    }

    /// Sends nothing more before `until`.
    pub(super) fn hold(&mut self, until: Instant) {
        self.next = Some(self.next.map_or(until, |at| at.max(until)));
    }

    /// What became of the first batch under way; never, when there is none. `Err` says that nobody will tell any more.
    pub(super) async fn delivered(&mut self) -> Result<Delivery, oneshot::error::RecvError> {
        let Some(first) = self.under_way.front_mut() else {
            return std::future::pending().await;
        };
        let delivery = (&mut first.delivery).await;
        self.under_way.pop_front();
        delivery
    }

    fn holds(&self, id: i64) -> bool {
        self.under_way.iter().any(|batch| batch.ids.contains(&id))
    }
}

impl Poller {
    /// Hands the next batch of the spool to the doorbell, or else to the relay thread; says whether there was one.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub(super) fn send(&mut self) -> Result<bool, StoreError> {
        let under_way: usize = self.outbox.under_way.iter().map(|one| one.ids.len()).sum();
        let limit = u32::try_from(MAX_REPORTS + under_way).unwrap_or(u32::MAX);
        let mut spooled = self.store.spooled(limit)?;
        spooled.retain(|one| !self.outbox.holds(one.id));
        if spooled.is_empty() {
            // What was to be sent after the pause may have been sent meanwhile, and one that is over makes the loop spin.
            self.outbox.next = None;
            return Ok(false);
        }
        let batch = batch(&spooled).to_vec();
        let ids = batch.iter().map(|one| one.id).collect();
        let delivery = match self.outbox.way(&self.bell) {
            Some(doorbell) => doorbell.deliver(batch),
            None => self.relay.deliver(batch),
        };
        self.outbox.under_way.push_back(Batch { ids, delivery });
        Ok(true)
    }

    /// Hands over what there is, unless the relay is to be left alone: acknowledgements, and how it went with other
    /// services, shall not wait for the end of what begins now. Nor shall that wait for them, or fail with them.
    pub(super) fn hand_over(&mut self) {
        if self.outbox.is_held(Instant::now()) {
            return;
        }
        if let Err(error) = self.send() {
            debug!("nothing is reported while this goes on: {error}");
        }
    }

    /// Keeps what became of a batch; returns why the rest must wait.
    pub(super) fn note_delivery(
        &mut self,
        delivery: Delivery,
    ) -> Result<Option<RelayError>, StoreError> {
        self.outbox.by_post = delivery.unanswered;
        let ids: Vec<_> = delivery.taken.iter().map(|one| one.id).collect();
        self.store.acknowledge(&ids)?;
        for Spooled { report, .. } in &delivery.taken {
            match (&report.service, report.outcome) {
                (Some(service), Some(outcome)) => {
                    info!(%service, intent = %report.intent, "reported {}", outcome.as_str());
                }
                _ => debug!(intent = %report.intent, "acknowledged"),
            }
        }
        for (id, reason) in &delivery.refused {
            warn!("a report is put aside, since the relay will never take it: {reason}");
            self.store.park(*id, reason)?;
        }
        Ok(delivery.trouble)
    }

    /// Keeps what became of a batch, and when to send the next one; `interval` is the usual pause between polls.
    pub(super) fn note_sent(
        &mut self,
        delivery: Delivery,
        interval: Duration,
    ) -> Result<(), StoreError> {
        let Some(trouble) = self.note_delivery(delivery)? else {
            self.outbox.failures = 0;
            self.outbox.next = None;
            return Ok(());
        };
        self.outbox.failures += 1;
        let failures = self.outbox.failures;
        let pause = pause(interval, failures, trouble.retry_after(), jitter());
        self.outbox.next = Some(Instant::now() + pause);
        warn!(
            "reports are kept, trying again in {} s: {trouble}",
            pause.as_secs()
        );
        Ok(())
    }
}
