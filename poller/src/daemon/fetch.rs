//! Taking in what the relay answers: marks and intents, and asking the hub for gaps.

use std::time::{Duration, Instant};

use towline_protocol::{Channel, ChannelMark, ChannelNews, Polled};
use tracing::{info, warn};

use super::Poller;
use crate::{
    mailbox::{brings_anything, read},
    store::StoreError,
};

/// How soon to ask the hub again for a gap that it did not fill: its requests are limited by the day.
const HUB_RETRY: Duration = Duration::from_secs(30 * 60);

impl Poller {
    /// What to ask the relay for: every channel, from its mark on.
    pub(super) fn asked(&self) -> Result<Vec<ChannelMark>, StoreError> {
        self.asked_for(self.settings.channels())
    }

    /// The same for some channels.
    pub(super) fn asked_for(&self, channels: Vec<Channel>) -> Result<Vec<ChannelMark>, StoreError> {
        channels
            .into_iter()
            .map(|channel| {
                let mark = self.store.mark(&channel)?.unwrap_or_default();
                Ok(ChannelMark { channel, mark })
            })
            .collect()
    }

    /// Takes in an answer and returns the channels of which the hub has more.
    ///
    /// A channel whose mark did not move on a `fresh` answer is left alone for a while.
    pub(super) fn take_in(
        &mut self,
        polled: Polled,
        fresh: bool,
    ) -> Result<Vec<Channel>, StoreError> {
        let mut gaps = Vec::new();
        for (channel, news) in polled.channels {
            if self.settings.channels().contains(&channel)
                && self.take_in_channel(&channel, news, fresh)?
            {
                gaps.push(channel);
            }
        }
        Ok(gaps)
    }

    fn take_in_channel(
        &mut self,
        channel: &Channel,
        news: ChannelNews,
        fresh: bool,
    ) -> Result<bool, StoreError> {
        let before = self.store.mark(channel)?;
        if !brings_anything(before, &news) {
            return Ok(false);
        }
        let known = self.store.intents(channel)?;
        let reading = read(channel, before, &known, news);
        let moved = before != Some(reading.mark);
        if moved || !reading.received.is_empty() {
            self.store
                .receive(channel, reading.mark, &reading.received)?;
        }
        for intent in &reading.received {
            info!(%channel, seq = intent.seq, intent = %intent.id, "received");
            self.todo.note_news();
        }
        let now = Instant::now();
        if reading.gap && fresh && !moved {
            warn!(%channel, mark = %reading.mark, "the hub does not have the intents after this mark; asking again later");
            self.hub_again.insert(channel.clone(), now + HUB_RETRY);
        }
        let may_ask = self.hub_again.get(channel).is_none_or(|at| *at <= now);
        Ok(reading.gap && may_ask)
    }
}
