//! How a candidate becomes an intent: its channel's epoch, then the commit, then the rings and the put that nobody waits for.

use std::{cell::RefCell, rc::Rc};

use towline_protocol::Channel;

use super::{Hub, Parts, arm, ask::Committed, failed, now};
use crate::{
    error::Fault,
    gate::Candidate,
    kv,
    mailbox::{self, LeftBehind},
    manual::{self, Ordered},
    now_ms, pace,
    tally::Event,
};

impl Hub {
    /// Numbers a candidate, rings for it and begins its put, unless its cause was numbered before.
    pub(super) async fn queue(
        &self,
        parts: &Parts,
        candidate: Candidate,
    ) -> Result<Committed, Fault> {
        if let Some(known) = parts.store.find(&candidate.dedupe_key)? {
            return Ok(known);
        }
        let channel = candidate.channel.clone();
        let epoch = parts.epoch(&channel).await?;
        let committed = self.commit(parts, candidate, epoch).await?;
        if !committed.duplicate {
            parts.count(Event::Intent);
            self.ring(parts, &committed.id);
            let parts = parts.clone();
            self.state
                .wait_until(async move { parts.flush(&channel).await });
        }
        Ok(committed)
    }

    /// As [`Self::queue`], and gives the intent.
    pub(super) async fn order(
        &self,
        parts: &Parts,
        candidate: Candidate,
    ) -> Result<Ordered, Fault> {
        let committed = self.queue(parts, candidate.clone()).await?;
        let intent = parts.store.intent(&committed.id)?;
        let intent = intent.ok_or_else(|| failed("the intent's row is gone"))?;
        Ok(manual::ordered(&candidate, committed.duplicate, intent))
    }

    /// One transaction: the number, the row, the alarm. Nothing else runs in the hub meanwhile.
    async fn commit(
        &self,
        parts: &Parts,
        candidate: Candidate,
        epoch: u64,
    ) -> Result<Committed, Fault> {
        let result = Rc::new(RefCell::new(None));
        let (slot, store, storage) = (result.clone(), parts.store.clone(), self.state.storage());
        let now = now()?;
        let transaction = async move |_| {
            let committed = store.commit(candidate, epoch, now);
            let committed = committed.map_err(|fault| worker::Error::from(fault.to_string()))?;
            arm(&storage, pace::FIRST_ALARM).await?;
            slot.replace(Some(committed));
            Ok(())
        };
        let storage = self.state.storage();
        storage.transaction(transaction).await.map_err(failed)?;
        let committed = result.take();
        committed.ok_or_else(|| failed("the transaction ended without a result"))
    }
}

impl Parts {
    /// The channel's epoch. On its first use KV is asked what another hub may have left there; when
    /// that cannot be told, or hosts would not believe what follows from it, nothing is numbered.
    async fn epoch(&self, channel: &Channel) -> Result<u64, Fault> {
        if let Some(numbers) = self.store.numbers(channel)? {
            return Ok(numbers.epoch);
        }
        let Some(value) = self.mailboxes.get(channel).await? else {
            return Ok(self.store.created_ms());
        };
        let unusable = |why: &dyn std::fmt::Display| {
            let key = kv::key(channel);
            Fault::storage(
                "KV",
                format!("the value of {key} is {why}; see docs/protocol.md"),
            )
        };
        let left_behind: LeftBehind = serde_json::from_str(&value)
            .map_err(|error| unusable(&format_args!("no mailbox: {error}")))?;
        mailbox::first_epoch(self.store.created_ms(), Some(left_behind), now_ms())
            .map_err(|error| unusable(&error))
    }
}
