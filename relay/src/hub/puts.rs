//! The hub's puts into KV, acted out: [`crate::pace`] decides when.
//!
//! A put that does not answer in time counts as failed, and may still land over a newer one. So its end
//! is waited for beside the work, and then the channel is put once more. An eviction meanwhile forgets
//! this: the mailbox may then be old until the channel's next put or the hourly upkeep, which docs/protocol.md says too.

use futures_util::future::{Either, LocalBoxFuture, select};
use towline_protocol::{Channel, Mailbox};
use worker::{Delay, console_error, wasm_bindgen_futures::spawn_local};

use super::{Parts, arm, failed, now};
use crate::{
    error::Fault,
    now_ms,
    pace::{self, Action, Ended},
    tally::Event,
};

/// A put that may come to its end later.
type Late = LocalBoxFuture<'static, Result<(), Fault>>;

impl Parts {
    /// Brings a channel's mailbox in KV up to date, as the pace has it.
    pub(super) async fn flush(&self, channel: &Channel) {
        self.go_on(channel, pace::Event::Behind).await;
    }

    /// Acts on an event as the pace has it, until nothing is to be done.
    pub(super) async fn go_on(&self, channel: &Channel, mut event: pace::Event) {
        loop {
            let action = self.pace.borrow_mut().on(channel, event, now_ms());
            event = match action {
                Action::Nothing => return,
                Action::Wait(pause) => {
                    Delay::from(pause).await;
                    pace::Event::Rested
                }
                Action::Put => pace::Event::Ended(self.put(channel).await),
                Action::Unwritten => {
                    self.unwritten(channel).await;
                    pace::Event::Noted
                }
            }
        }
    }

    async fn put(&self, channel: &Channel) -> Ended {
        self.put_due(channel).await.unwrap_or_else(|fault| {
            console_error!("mailbox of {channel}: {fault}; the alarm repeats it");
            Ended::Failed
        })
    }

    async fn put_due(&self, channel: &Channel) -> Result<Ended, Fault> {
        let Some(mailbox) = self.store.due_mailbox(channel, now()?)? else {
            return Ok(Ended::NothingDue);
        };
        let head = mailbox.head;
        self.count(Event::KvWrite);
        self.put_in_time(channel, mailbox).await?;
        self.store.written(channel, head)?;
        let behind = self.store.is_due(channel)?;
        Ok(Ended::Written { behind })
    }

    async fn put_in_time(&self, channel: &Channel, mailbox: Mailbox) -> Result<(), Fault> {
        let (mailboxes, name) = (self.mailboxes.clone(), channel.clone());
        let put: Late = Box::pin(async move { mailboxes.put(&name, &mailbox).await });
        match select(put, Delay::from(pace::PUT_TIMEOUT)).await {
            Either::Left((done, _)) => done,
            Either::Right(((), late)) => {
                spawn_local(self.clone().repair_after(late, channel.clone()));
                let limit = pace::PUT_TIMEOUT.as_secs();
                Err(Fault::storage("KV", format!("no answer within {limit} s")))
            }
        }
    }

    /// Puts a channel's mailbox once more when a put that was given up has ended, however it ended.
    async fn repair_after(self, late: Late, channel: Channel) {
        let ended = late.await;
        let how = ended.map_or_else(|fault| fault.to_string(), |()| "written".to_owned());
        console_error!("mailbox of {channel}: a late put ended: {how}; it is put again");
        self.go_on(&channel, pace::Event::Doubt).await;
    }

    async fn unwritten(&self, channel: &Channel) {
        let noted = match self.store.unwritten(channel) {
            Ok(()) => arm(&self.storage, pace::FIRST_ALARM).await.map_err(failed),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = noted {
            console_error!("mailbox of {channel}: {fault}");
        }
    }
}
