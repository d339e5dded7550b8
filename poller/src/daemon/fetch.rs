//! Taking in what the relay answers: marks and intents, and asking the hub for gaps.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;
use towline_protocol::{Channel, ChannelMark, Intent};
use tracing::{info, warn};

use super::{Poller, relay_thread::Polling};
use crate::{
    mailbox::{brings_anything, is_credible, read},
    relay_client::{Answer, News},
    report::acknowledgement,
    select::objection,
    store::StoreError,
};

/// How soon to ask the hub again for a gap that it did not fill: its requests are limited by the day.
const HUB_RETRY: Duration = Duration::from_secs(30 * 60);

/// How many answers of the hub are taken in one after another. It may never come to an end.
const PAGES: u32 = 8;

/// How soon to ask the hub again after it could not answer, or answered that often.
const HUB_PAUSE: Duration = Duration::from_secs(2 * 60);

impl Poller {
    /// The channels to ask the relay for: each that the token is for, from its mark on.
    pub(super) fn asked(&self) -> Result<Vec<ChannelMark>, StoreError> {
        let all = self.settings.channels();
        let (left_out, asked): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|channel| self.left_out.contains(channel));
        self.asked_for(if asked.is_empty() { left_out } else { asked })
    }

    /// The channels to ask the hub for: each with a gap whose pause is over.
    pub(super) fn gaps(&self) -> Result<Vec<ChannelMark>, StoreError> {
        let now = Instant::now();
        let due = self.gaps.iter().filter(|(_, at)| **at <= now);
        self.asked_for(due.map(|(channel, _)| channel.clone()).collect())
    }

    /// How long until the hub may be asked for a gap, if there is one.
    pub(super) fn gap_pause(&self, now: Instant) -> Option<Duration> {
        let soonest = self.gaps.values().min();
        soonest.map(|at| at.saturating_duration_since(now))
    }

    fn asked_for(&self, channels: Vec<Channel>) -> Result<Vec<ChannelMark>, StoreError> {
        channels
            .into_iter()
            .map(|channel| {
                let mark = self.store.mark(&channel)?.unwrap_or_default();
                Ok(ChannelMark { channel, mark })
            })
            .collect()
    }

    /// Asks the relay, by its thread.
    pub(super) fn poll(&self, asked: Vec<ChannelMark>, fresh: bool) -> oneshot::Receiver<Polling> {
        self.relay.poll(asked, fresh, self.tag.clone())
    }

    /// Takes in an answer; `fresh` says that it is the hub's.
    ///
    /// Its tag counts only when all of it is on disk: the relay would not tell the rest again.
    ///
    /// # Errors
    /// When the store fails; what was not taken in will be asked for again.
    pub(super) fn take_in(&mut self, answer: Answer, fresh: bool) -> Result<(), StoreError> {
        for complaint in &answer.complaints {
            warn!("{complaint}");
        }
        let mut whole = true;
        for (channel, news) in answer.channels {
            whole &= self.take_in_credible(&channel, news, fresh)?;
        }
        if fresh {
            self.pages += 1;
        } else {
            self.pages = 0;
            self.tag = answer.tag.filter(|_| whole);
        }
        if self.pages >= PAGES {
            self.pages = 0;
            self.leave_hub();
        }
        Ok(())
    }

    /// Takes in what is said of one channel, and says whether it counts.
    pub(super) fn take_in_credible(
        &mut self,
        channel: &Channel,
        news: News,
        fresh: bool,
    ) -> Result<bool, StoreError> {
        let now = Timestamp::now();
        if is_credible(&news.news, now) {
            self.take_in_channel(channel, news, fresh)?;
            return Ok(true);
        }
        warn!(%channel, epoch = news.news.epoch, "the relay's hub claims to be from the future, so that its answer does not count; is this host's clock right ({now})?");
        Ok(false)
    }

    fn take_in_channel(
        &mut self,
        channel: &Channel,
        News { news, unreadable }: News,
        fresh: bool,
    ) -> Result<(), StoreError> {
        let (before, now) = (self.store.mark(channel)?, Timestamp::now());
        if !brings_anything(before, &news) {
            return Ok(());
        }
        let known = self.store.intents(channel)?;
        let reading = read(channel, before, &known, news, &unreadable);
        let moved = before != Some(reading.mark);
        if moved || !reading.received.is_empty() {
            let (host, services) = (&self.host, &self.settings.services);
            let acknowledged = |intent: &Intent| acknowledgement(host, services, intent, now);
            self.store
                .receive(channel, reading.mark, &reading.received, acknowledged)?;
        }
        for intent in &reading.received {
            info!(%channel, seq = intent.seq, intent = %intent.id, "received");
            self.tell_objections(channel, intent);
            self.todo.note_news();
        }
        if !reading.gap {
            self.gaps.remove(channel);
        } else if reading.full {
            warn!(%channel, mark = %reading.mark, "more intents than can be kept; those after this mark are asked for again when the others are judged");
            self.gaps
                .insert(channel.clone(), Instant::now() + HUB_PAUSE);
        } else if fresh && !moved {
            warn!(%channel, mark = %reading.mark, "the hub does not have what came after this mark; asking again later");
            self.gaps
                .insert(channel.clone(), Instant::now() + HUB_RETRY);
        } else {
            self.gaps
                .entry(channel.clone())
                .or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Says which services an intent of their channel is not for, and why: what one looks for when nothing happens.
    fn tell_objections(&self, channel: &Channel, intent: &Intent) {
        let services = self.settings.services.iter();
        for service in services.filter(|service| service.rule.channel == *channel) {
            if let Some(why) = objection(service, intent) {
                info!(service = %service.name, seq = intent.seq, intent = %intent.id, "not for this service: {why}");
            }
        }
    }

    /// Leaves the gaps alone for a while. What the mailboxes say still counts.
    pub(super) fn leave_hub(&mut self) {
        let later = Instant::now() + HUB_PAUSE;
        for at in self.gaps.values_mut() {
            *at = later.max(*at);
        }
    }
}
