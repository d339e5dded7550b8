//! The loop's end of the doorbell: what this host says of itself, what it is rung for, and how often the relay is polled
//! beside it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use towline_protocol::{Channel, ChannelNews, Hello, Intent, Secret};
use tracing::{debug, info, warn};

use super::{LOCAL_RETRY, Poller};
use crate::{
    doorbell::{Doorbell, Event, Lost},
    hello::hello,
    relay_client::News,
    route::Route,
    status::{DoorbellState, DoorbellStatus},
    store::StoreError,
};

/// How often the relay is polled beside a doorbell, unless it is polled less often anyway.
const BESIDE: Duration = Duration::from_secs(30 * 60);

/// What a connection has to last to be relied on: longer than its first ping and pong take.
const LASTING: Duration = Duration::from_secs(2 * 60);

/// After so many connections in a row that did not last, the next ones are on trial.
const BRIEF: u32 = 2;

/// The doorbell, if it is to be used, and how it stands.
#[derive(Debug)]
pub(super) struct Bell {
    /// What it is started with.
    route: Route,
    token: Secret,
    doorbell: Option<Doorbell>,
    standing: Standing,
    /// What was said of this host last.
    said: Option<Hello>,
    /// [`crate::store::Store::changes`] when that was put together.
    said_at: Option<u64>,
    /// Whether something was rung that could not be kept.
    missed: bool,
    /// When to say it again, after the state could not be read.
    retry: Option<Instant>,
    /// How many connections in a row did not last.
    brief: u32,
}

#[derive(Debug)]
enum Standing {
    Off,
    /// No connection has come about yet, or failed.
    New,
    Connected {
        since: Timestamp,
        begun: Instant,
        /// On trial: since when there was no connection that lasted. Something on the way, or the hub, may end each one at
        /// once, and that is one loss for people, for the polls and for the heartbeat.
        trial: Option<Timestamp>,
    },
    Lost {
        since: Timestamp,
        why: Lost,
    },
}

impl Bell {
    /// One that is not used before it is started.
    pub(super) fn new(route: Route, token: Secret) -> Self {
        Self {
            route,
            token,
            doorbell: None,
            standing: Standing::Off,
            said: None,
            said_at: None,
            missed: false,
            retry: None,
            brief: 0,
        }
    }

    /// Whether there is a connection.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self.standing, Standing::Connected { .. })
    }

    /// Whether there is a connection that may be relied on.
    pub(super) fn is_steady(&self) -> bool {
        matches!(self.standing, Standing::Connected { trial: None, .. })
    }

    /// Ends a trial that is over, and tells of it.
    pub(super) fn end_trial(&mut self, now: Instant) {
        if let Standing::Connected { begun, trial, .. } = &mut self.standing
            && trial.is_some()
            && *begun + LASTING <= now
        {
            *trial = None;
            info!("the doorbell is connected again, intents come at once");
        }
    }

    /// How long until there is something to do here, if it is known.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let trial = match &self.standing {
            Standing::Connected { begun, trial, .. } => trial.map(|_| *begun + LASTING),
            Standing::Off | Standing::New | Standing::Lost { .. } => None,
        };
        let soonest = [trial, self.retry].into_iter().flatten().min();
        soonest.map(|at| at.saturating_duration_since(now))
    }

    /// Whether the first connection has neither come about nor failed.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.standing, Standing::New)
    }

    /// What happens next; never, without a doorbell.
    pub(super) async fn next(&mut self) -> Event {
        match &mut self.doorbell {
            Some(doorbell) => doorbell.next().await,
            None => std::future::pending().await,
        }
    }

    /// The doorbell, if it is connected.
    pub(super) fn open(&self) -> Option<&Doorbell> {
        self.doorbell.as_ref().filter(|_| self.is_connected())
    }

    /// How it stands, for people and programs.
    pub(super) fn status(&self) -> DoorbellStatus {
        let (state, since, trouble) = match &self.standing {
            Standing::Off => (DoorbellState::Off, None, None),
            Standing::New => (DoorbellState::Connecting, None, None),
            Standing::Connected { since, .. } => (DoorbellState::Connected, Some(*since), None),
            Standing::Lost { since, why } => {
                (DoorbellState::Lost, Some(*since), Some(why.to_string()))
            }
        };
        DoorbellStatus {
            state,
            since,
            trouble,
        }
    }

    /// Has the relay know `hello`: now, where more has changed than marks, else with the next connection.
    fn say(&mut self, hello: Hello) {
        let is_other = |said: &Hello| {
            said.services != hello.services || !said.marks.keys().eq(hello.marks.keys())
        };
        let aloud = self.missed || self.said.as_ref().is_none_or(is_other);
        let is_new = aloud || self.said.as_ref() != Some(&hello);
        if let Some(doorbell) = &self.doorbell
            && is_new
            && !hello.marks.is_empty()
        {
            doorbell.say(hello.clone(), aloud);
            self.said = Some(hello);
        }
    }

    /// How often the relay is polled, where `interval` is the usual pause.
    fn interval(&self, interval: Duration) -> Duration {
        if self.is_steady() {
            interval.max(BESIDE)
        } else {
            interval
        }
    }
}

impl Poller {
    /// Uses the doorbell from now on, unless the host's file turns it off. Without one all else goes on.
    pub(super) fn start_doorbell(&mut self) {
        let all_left_out = || {
            let mut channels = self.settings.channels().into_iter();
            channels.all(|channel| self.left_out.contains(&channel))
        };
        if !self.settings.relay.doorbell || all_left_out() {
            return;
        }
        match Doorbell::start(self.bell.route.clone(), self.bell.token.clone()) {
            Ok(doorbell) => {
                self.bell.doorbell = Some(doorbell);
                self.bell.standing = Standing::New;
            }
            Err(error) => warn!("no doorbell, so that the relay is only polled: {error}"),
        }
        self.notices.note_doorbell(self.bell.status());
    }

    /// Has the relay know how far this host has read and what it runs, when that has changed. A state that cannot be read
    /// is told in the log and tried again soon: without a doorbell all else goes on.
    pub(super) fn say_hello(&mut self, now: Instant) {
        let changes = Some(self.store.changes());
        let is_new = self.bell.said_at != changes || self.bell.missed;
        let waits = self.bell.retry.is_some_and(|at| at > now);
        if self.bell.doorbell.is_none() || !is_new || waits {
            return;
        }
        match self.own_hello() {
            Ok(hello) => {
                self.bell.say(hello);
                self.bell.said_at = changes;
                self.bell.missed = false;
                self.bell.retry = None;
            }
            Err(error) => {
                let seconds = LOCAL_RETRY.as_secs();
                warn!(
                    "the doorbell does not hear how this host stands, trying again in {seconds} s: {error}"
                );
                self.bell.retry = Some(now + LOCAL_RETRY);
            }
        }
    }

    /// What to say of this host. Channels that no answer has come for yet are left to the polls: what is rung for a new
    /// host says nothing of what came before.
    fn own_hello(&self) -> Result<Hello, StoreError> {
        let mut hello = hello(&self.store, &self.settings, &self.left_out)?;
        let mut read = BTreeMap::new();
        for (channel, mark) in hello.marks {
            if self.store.mark(&channel)?.is_some() {
                read.insert(channel, mark);
            }
        }
        hello.marks = read;
        Ok(hello)
    }

    /// How long to wait before the next poll, where `interval` is the usual pause: long only when all that is asked for is
    /// rung.
    pub(super) fn poll_interval(&self, interval: Duration) -> Duration {
        let is_rung = |channel: &Channel| {
            let said = self.bell.said.as_ref();
            self.left_out.contains(channel)
                || said.is_some_and(|said| said.marks.contains_key(channel))
        };
        if self.settings.channels().iter().all(is_rung) {
            self.bell.interval(interval)
        } else {
            interval
        }
    }

    /// Notes what the doorbell tells.
    ///
    /// # Errors
    /// When the store fails; what was rung then is asked for again.
    pub(super) fn note_bell(&mut self, event: Event) -> Result<(), StoreError> {
        match event {
            Event::Rung(intents) => {
                let kept = self.take_in_rung(intents);
                self.bell.missed |= kept.is_err();
                kept?;
            }
            Event::Odd(what) => warn!("something that came by the doorbell {what}"),
            Event::Connected => self.note_connected(),
            Event::Lost { why, again_in } => self.note_lost(why, again_in),
        }
        self.notices.note_doorbell(self.bell.status());
        Ok(())
    }

    /// Told at once, unless those before did not last.
    fn note_connected(&mut self) {
        let lost = match self.bell.standing {
            Standing::Lost { since, .. } => Some(since),
            Standing::Off | Standing::New | Standing::Connected { .. } => None,
        };
        let trial = lost.filter(|_| self.bell.brief >= BRIEF);
        if trial.is_none() {
            let again = lost.map_or("", |_| " again");
            info!("the doorbell is connected{again}, intents come at once");
        }
        self.bell.standing = Standing::Connected {
            since: Timestamp::now(),
            begun: Instant::now(),
            trial,
        };
    }

    /// Told once as long as there is none to rely on; what changes meanwhile is in `towline status`.
    fn note_lost(&mut self, why: Lost, again_in: Duration) {
        let lost = match &self.bell.standing {
            Standing::Lost { since, .. } => Some(*since),
            Standing::Connected { begun, trial, .. } => {
                let has_lasted = begun.elapsed() >= LASTING;
                self.bell.brief = if has_lasted { 0 } else { self.bell.brief + 1 };
                *trial
            }
            Standing::Off | Standing::New => None,
        };
        let seconds = again_in.as_secs();
        if lost.is_some() {
            debug!("no doorbell: {why}; connecting again in {seconds} s");
        } else {
            warn!(
                "no doorbell, so that the relay is polled as often as without: {why}; connecting again in {seconds} s, and told when that has succeeded"
            );
        }
        let since = lost.unwrap_or_else(Timestamp::now);
        self.bell.standing = Standing::Lost { since, why };
    }

    /// Takes in what was rung, all of a channel at once.
    fn take_in_rung(&mut self, intents: Vec<Intent>) -> Result<(), StoreError> {
        let mut by_channel: BTreeMap<(Channel, u64), Vec<Intent>> = BTreeMap::new();
        for intent in intents {
            let key = (intent.channel.clone(), intent.epoch);
            by_channel.entry(key).or_default().push(intent);
        }
        for ((channel, epoch), intents) in by_channel {
            let is_listened_to =
                self.settings.channels().contains(&channel) && !self.left_out.contains(&channel);
            if !is_listened_to || self.store.mark(&channel)?.is_none() {
                continue;
            }
            let head = intents.iter().map(|intent| intent.seq).max();
            let news = ChannelNews {
                epoch,
                head: head.unwrap_or_default(),
                pruned_before: 0,
                intents,
            };
            self.take_in_credible(
                &channel,
                News {
                    news,
                    ..News::default()
                },
                false,
            )?;
        }
        Ok(())
    }
}
