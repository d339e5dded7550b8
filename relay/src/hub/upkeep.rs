//! The hourly upkeep: brings KV back to what the database says, and forgets what is old.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use towline_protocol::HostName;
use worker::console_error;

use super::{Parts, arm, failed};
use crate::{
    error::Fault,
    now_ms,
    pace::{self, Event},
    upkeep::{
        self, Done, Finding, HOST_KEPT_MS, MAILBOXES_A_RUN, PUTS_A_RUN, ROWS_A_RUN,
        ROWS_OF_AN_INTENT,
    },
};

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
            let cut_ms = now_ms().saturating_sub(retention_ms.max(HOST_KEPT_MS));
            done.hosts = self.store.prune_hosts(cut_ms, heard_at)?;
        }
        // Last, because only this needs KV, which may fail.
        self.compare(&mut done).await?;
        Ok(done)
    }

    async fn compare(&self, done: &mut Done) -> Result<(), Fault> {
        let channels = self.store.next_mailboxes(MAILBOXES_A_RUN)?;
        if channels.is_empty() {
            return Ok(());
        }
        let names = channels.iter().map(|(channel, _)| channel);
        let in_kv = self.mailboxes.get_all(names).await?;
        done.compared = channels.len();
        for (channel, known) in channels {
            // An intent may have been committed while KV was read.
            if self.store.numbers(&channel)? != Some(known.numbers) {
                continue;
            }
            match upkeep::compare(known, in_kv.get(&channel).map(String::as_str), now_ms()) {
                Finding::Fine => {}
                Finding::Overtaken(epoch) => {
                    console_error!(
                        "mailbox of {channel}: KV has one that this hub has not written, which is beyond \
                         epoch {} number {}; the channel goes on in epoch {epoch}",
                        known.numbers.epoch,
                        known.numbers.head
                    );
                    self.store.raise_epoch(&channel, epoch)?;
                    done.overtaken.push(channel);
                }
                Finding::Lost if done.put_again.len() < PUTS_A_RUN => {
                    console_error!("mailbox of {channel}: KV has lost it; it is put again");
                    done.put_again.push(channel);
                }
                Finding::Lost => {}
            }
        }
        self.catch_up(done).await
    }

    /// Puts again what was found, all at once: else the alarm would put those that wait for their turn, and
    /// each would go out twice. What an alarm that was lost has left is due too, for the next one.
    async fn catch_up(&self, done: &Done) -> Result<(), Fault> {
        stream::iter(done.put_again.iter().chain(&done.overtaken))
            .for_each_concurrent(None, |channel| self.go_on(channel, Event::Doubt))
            .await;
        if self.store.due()?.is_empty() {
            return Ok(());
        }
        let armed = arm(&self.storage, pace::FIRST_ALARM).await;
        armed.map_err(failed)
    }
}
