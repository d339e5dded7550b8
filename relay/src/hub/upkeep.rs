//! The hourly upkeep: brings KV back to what the database says, and forgets what is old.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use towline_protocol::{Channel, HostName};
use worker::console_error;

use super::{Parts, arm, failed};
use crate::{
    error::Fault,
    mailbox::Numbers,
    now_ms,
    pace::{self, Event},
    upkeep::{
        self, Done, Finding, HOST_KEPT_MS, Known, MAILBOXES_A_RUN, PUTS_A_RUN, ROWS_A_RUN,
        ROWS_OF_AN_INTENT,
    },
};

/// What a mailbox that is not as it should be needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mend {
    /// To be put again.
    Put,
    /// To be put in this higher epoch.
    Raise(u64),
}

impl Parts {
    /// One run. What is older than `retention_ms` goes; without it nothing does.
    ///
    /// # Errors
    /// When SQLite or KV fails; what was done before stays done.
    pub(super) async fn upkeep(
        &self,
        retention_ms: Option<u64>,
        heard_at: impl Fn(&HostName) -> Option<Timestamp>,
    ) -> Result<Done, Fault> {
        let mut done = Done::default();
        if let Some(retention_ms) = retention_ms {
            let cut_ms = now_ms().saturating_sub(retention_ms);
            done.intents = self.store.prune_intents(cut_ms, ROWS_A_RUN)?;
            let paid = done.intents.saturating_mul(ROWS_OF_AN_INTENT);
            let left = ROWS_A_RUN.saturating_sub(paid);
            done.reports = self.store.prune_reports(cut_ms, left)?;
            let left = left.saturating_sub(done.reports);
            let cut_ms = now_ms().saturating_sub(retention_ms.max(HOST_KEPT_MS));
            done.hosts = self.store.prune_hosts(cut_ms, left, heard_at)?;
        }
        // Last, because only this needs KV, which may fail.
        self.compare(&mut done).await?;
        Ok(done)
    }

    async fn compare(&self, done: &mut Done) -> Result<(), Fault> {
        let channels = self.store.next_mailboxes(MAILBOXES_A_RUN)?;
        if channels.is_empty() {
            return self.store.compared(None);
        }
        let names = channels.iter().map(|(channel, _)| channel);
        let in_kv = self.mailboxes.get_all(names).await?;
        let mut wrong = Vec::new();
        for (channel, known) in &channels {
            // What is left the next run begins with.
            if wrong.len() == PUTS_A_RUN {
                break;
            }
            let in_kv = in_kv.get(channel).map(String::as_str);
            if let Some(mend) = self.compare_one(channel, *known, in_kv)? {
                let channels = match mend {
                    Mend::Put => &mut done.put_again,
                    Mend::Raise(_) => &mut done.overtaken,
                };
                channels.push(channel.clone());
                wrong.push((channel, mend));
            }
            done.compared = done.compared.saturating_add(1);
        }
        self.catch_up(&wrong).await?;
        // Only now, so that a run that failed is done again.
        let is_end = done.compared == channels.len() && (channels.len() as u64) < MAILBOXES_A_RUN;
        let last = channels.get(done.compared.saturating_sub(1));
        let last = last.filter(|_| !is_end).map(|(channel, _)| channel);
        self.store.compared(last)
    }

    /// What a channel's mailbox needs, and says so in the log.
    fn compare_one(
        &self,
        channel: &Channel,
        known: Known,
        in_kv: Option<&str>,
    ) -> Result<Option<Mend>, Fault> {
        // An intent may have been committed while KV was read.
        if self.store.numbers(channel)? != Some(known.numbers) {
            return Ok(None);
        }
        let Numbers { epoch, head, .. } = known.numbers;
        match upkeep::compare(known, in_kv, now_ms()) {
            Finding::Fine => Ok(None),
            Finding::Incredible => {
                console_error!(
                    "mailbox of {channel}: its epoch {epoch} is more than 7 days ahead of the clock, so that no \
                     host takes anything from it; see docs/protocol.md"
                );
                Ok(None)
            }
            Finding::Overtaken(higher) => {
                console_error!(
                    "mailbox of {channel}: KV has one that this hub has not written, which is beyond epoch \
                     {epoch} number {head}; the channel goes on in epoch {higher}"
                );
                Ok(Some(Mend::Raise(higher)))
            }
            Finding::Lost => {
                console_error!("mailbox of {channel}: KV has lost it; it is put again");
                Ok(Some(Mend::Put))
            }
        }
    }

    /// Puts what is wrong in KV. The alarm is set first, as after a commit, and also finds what an alarm
    /// that was lost has left. A channel becomes due only when its doubt is told, so that the alarm puts
    /// none that waits for its turn here.
    async fn catch_up(&self, wrong: &[(&Channel, Mend)]) -> Result<(), Fault> {
        if wrong.is_empty() && self.store.due()?.is_empty() {
            return Ok(());
        }
        arm(&self.storage, pace::FIRST_ALARM)
            .await
            .map_err(failed)?;
        stream::iter(wrong)
            .for_each_concurrent(pace::PUTS_AT_ONCE, async |(channel, mend)| {
                if let Mend::Raise(epoch) = mend
                    && let Err(fault) = self.store.raise_epoch(channel, *epoch)
                {
                    console_error!("mailbox of {channel}: {fault}");
                    return;
                }
                self.go_on(channel, Event::Doubt).await;
            })
            .await;
        Ok(())
    }
}
