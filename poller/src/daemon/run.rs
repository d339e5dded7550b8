//! `run`: polls, work and reports side by side, each when it is due.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::{
    LOCAL_RETRY, Poller, Stop, jitter, orders::Orders, relay_thread::Polling, watch::LOOK,
};
use crate::{backoff::pause, doorbell::Event, exit::Ending, status::Seen, store::StoreError};

impl Poller {
    /// Fetches, applies and reports until `stop`; serves the control socket in the state directory `dir`.
    ///
    /// # Errors
    /// When the state is damaged. Everything else is told in the log and tried again.
    pub async fn run(
        mut self,
        interval: Duration,
        mut stop: Stop,
        dir: &Path,
    ) -> anyhow::Result<Ending> {
        let (mut orders, keeper) = self.serve_control(dir);
        self.start_doorbell();
        let ended = tokio::select! {
            ended = self.go_on(interval, &mut stop, &mut orders) => ended,
            // Beside the loop, so that locks are taken and seen in the middle of a deploy too.
            never = keeper.keep() => match never {},
        };
        orders.close().await;
        ended
    }

    async fn go_on(
        &mut self,
        interval: Duration,
        stop: &mut Stop,
        orders: &mut Orders,
    ) -> anyhow::Result<Ending> {
        info!(host = %self.host, relay = %self.settings.relay.url, services = self.settings.services.len(), "running");
        self.publish();
        // What is left, since an engine is not there for instance, is tried again by `work`: it holds up its services only.
        if let Err(error) = self.recover(stop).await {
            survivable(&error).map_err(|()| error)?;
        }
        self.clear_scratch();
        if let Err(error) = self.clear_leftovers(stop).await {
            survivable(&error).map_err(|()| error)?;
        }
        let mut rounds = Rounds::default();
        while !stop.is_wanted() {
            // Only the other commands end by what came of their deploys.
            self.outcomes.clear();
            if let Err(error) = self.round(&mut rounds, interval, stop, orders).await {
                survivable(&error).map_err(|()| error)?;
                self.outbox.hold(Instant::now() + LOCAL_RETRY);
                if self.rest(stop, orders, LOCAL_RETRY).await? {
                    break;
                }
            }
        }
        info!("stopped");
        Ok(Ending::Done)
    }

    /// Does what is due and waits for what comes next.
    async fn round(
        &mut self,
        rounds: &mut Rounds,
        interval: Duration,
        stop: &mut Stop,
        orders: &mut Orders,
    ) -> Result<(), StoreError> {
        self.publish();
        self.bell.end_trial(Instant::now());
        if rounds.polled {
            self.say_hello(Instant::now());
        }
        if self.is_due() && rounds.polled {
            self.work(stop).await?;
            // What was seen in the middle of a deploy says nothing about what it has left.
            rounds.looking = None;
            self.publish();
            self.say_hello(Instant::now());
        }
        let now = Instant::now();
        if rounds.polling.is_none() && rounds.next_poll.is_none_or(|at| at <= now) {
            rounds.polling = Some(self.poll(self.asked()?, false));
        }
        self.fill_gaps(rounds)?;
        if self.outbox.is_idle() && !self.outbox.is_held(now) {
            self.send()?;
        }
        if rounds.looking.is_none() && rounds.next_look.is_none_or(|at| at <= now) {
            rounds.next_look = Some(now + LOOK);
            rounds.looking = self.watch();
        }
        // As long as the first connection may come, the doorbell says it.
        if !self.bell.is_new() {
            self.beat(self.bell.is_steady());
        }
        let names = || self.settings.services.iter().map(|service| &service.name);
        let work = self.todo.pause(names(), now).filter(|_| rounds.polled);
        let gap = self.gap_pause(now).filter(|_| rounds.filling.is_none());
        let beat = self.heartbeat.pause(now).filter(|_| !self.bell.is_new());
        let (bell, sending) = (self.bell.pause(now), self.outbox.pause(now));
        let wake = rounds.wake(now, [work, gap, beat, bell, sending]);
        tokio::select! {
            () = stop.wanted() => {}
            () = tokio::time::sleep(wake) => {}
            order = orders.next() => {
                self.obey(order, stop).await?;
                rounds.looking = None;
            }
            answer = reply(&mut rounds.polling) => self.note_answer(rounds, answer, interval)?,
            answer = reply(&mut rounds.filling) => self.note_filled(rounds, answer)?,
            event = self.bell.next() => self.note_event(rounds, event, interval)?,
            service = self.lock_news.next() => self.note_lock(&service)?,
            seen = reply(&mut rounds.looking) => self.note_seen(seen),
            answer = self.heartbeat.said() => self.note_said(answer),
            Ok(delivery) = self.outbox.delivered() => self.note_sent(delivery, interval)?,
        }
        Ok(())
    }

    /// Waits for `pause`, or less when the process should end or something is ordered, and says whether it should end.
    async fn rest(
        &mut self,
        stop: &mut Stop,
        orders: &mut Orders,
        pause: Duration,
    ) -> Result<bool, StoreError> {
        tokio::select! {
            () = stop.wanted() => return Ok(true),
            () = tokio::time::sleep(pause) => {}
            order = orders.next() => if let Err(error) = self.obey(order, stop).await {
                survivable(&error).map_err(|()| error)?;
                tokio::time::sleep(pause).await;
            },
        }
        Ok(false)
    }

    /// Asks the hub for what is missing, unless it is being asked already. Polls go on beside it.
    fn fill_gaps(&mut self, rounds: &mut Rounds) -> Result<(), StoreError> {
        if rounds.filling.is_some() {
            return Ok(());
        }
        let gaps = self.gaps()?;
        if !gaps.is_empty() {
            rounds.filling = Some(self.poll(gaps, true));
        }
        Ok(())
    }

    fn usual_pause(&self, interval: Duration) -> Duration {
        pause(self.poll_interval(interval), 0, None, jitter())
    }

    pub(super) fn note_event(
        &mut self,
        rounds: &mut Rounds,
        event: Event,
        interval: Duration,
    ) -> Result<(), StoreError> {
        let was_steady = self.bell.is_steady();
        self.note_bell(event)?;
        let usual = self.usual_pause(interval);
        match (was_steady, self.bell.is_steady()) {
            // Counted from the last answer, so that a connection that comes and goes puts no poll off for ever.
            (false, true) if rounds.poll_failures == 0 => {
                rounds.next_poll = rounds.answered.map(|at| at + usual);
            }
            // What a relay in trouble asked for still counts.
            (true, false) if rounds.poll_failures == 0 => {
                let soon = Instant::now() + usual;
                rounds.next_poll = rounds.next_poll.map(|at| at.min(soon));
            }
            _ => {}
        }
        self.fill_gaps(rounds)
    }

    /// Takes in what the hub answers. While it does not, the mailboxes are asked as usual, unless it wants rest.
    fn note_filled(&mut self, rounds: &mut Rounds, answer: Polling) -> Result<(), StoreError> {
        match answer {
            Ok(answer) => {
                answer.map_or(Ok(()), |answer| self.take_in(answer, true))?;
                self.fill_gaps(rounds)
            }
            Err(error) => {
                self.leave_hub();
                let rest = error.retry_after().map(|rest| Instant::now() + rest);
                rounds.next_poll = rounds.next_poll.max(rest);
                warn!("the hub does not say what is missing: {error}; asking again later");
                Ok(())
            }
        }
    }

    fn note_answer(
        &mut self,
        rounds: &mut Rounds,
        answer: Polling,
        interval: Duration,
    ) -> Result<(), StoreError> {
        rounds.polled = true;
        match answer {
            Ok(answer) => {
                if rounds.poll_failures > 0 {
                    info!("the relay answers again");
                }
                rounds.poll_failures = 0;
                self.notices.note_relay(None);
                answer.map_or(Ok(()), |answer| self.take_in(answer, false))?;
                self.fill_gaps(rounds)?;
                let now = Instant::now();
                rounds.answered = Some(now);
                rounds.next_poll = Some(now + self.usual_pause(interval));
            }
            Err(error) => {
                self.leave_hub();
                self.notices.note_relay(Some(error.to_string()));
                rounds.poll_failures += 1;
                let pause = pause(
                    interval,
                    rounds.poll_failures,
                    error.retry_after(),
                    jitter(),
                );
                warn!("{error}; asking again in {} s", pause.as_secs());
                rounds.next_poll = Some(Instant::now() + pause);
            }
        }
        Ok(())
    }
}

/// What is under way with the relay, and when to ask again.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// Whether the first poll is over, so that a host which comes back applies the newest intent, not the last one
    /// that it heard of.
    polled: bool,
    polling: Option<oneshot::Receiver<Polling>>,
    /// What the hub is asked for, of which a mailbox does not have all.
    filling: Option<oneshot::Receiver<Polling>>,
    pub(super) next_poll: Option<Instant>,
    /// When the relay last answered a poll.
    pub(super) answered: Option<Instant>,
    pub(super) poll_failures: u32,
    looking: Option<oneshot::Receiver<Seen>>,
    next_look: Option<Instant>,
}

impl Rounds {
    /// How long nothing is due; `others` are the pauses of what is not kept here.
    fn wake(&self, now: Instant, others: [Option<Duration>; 5]) -> Duration {
        let until = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(now));
        let poll = until(self.next_poll).filter(|_| self.polling.is_none());
        let look = until(self.next_look).filter(|_| self.looking.is_none());
        let soonest = [poll, look].into_iter().chain(others).flatten().min();
        soonest.unwrap_or(Duration::from_secs(60 * 60))
    }
}

/// The answer of a job under way; never, when there is none.
async fn reply<T>(job: &mut Option<oneshot::Receiver<T>>) -> T {
    if let Some(receiver) = job
        && let Ok(answer) = receiver.await
    {
        *job = None;
        return answer;
    }
    std::future::pending().await
}

/// Tells an error of the store in the log if it may pass by itself, such as a full disk.
fn survivable(error: &StoreError) -> Result<(), ()> {
    match error {
        StoreError::Sql(_) | StoreError::Io { .. } => {
            error!(
                "{error}; nothing is done without a record, trying again in {} s",
                LOCAL_RETRY.as_secs()
            );
            Ok(())
        }
        StoreError::Locked { .. } | StoreError::Newer { .. } | StoreError::Corrupt { .. } => {
            Err(())
        }
    }
}
