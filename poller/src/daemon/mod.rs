//! The loop: fetch, take in, apply, report. One tokio thread, beside the thread in which the relay client blocks.
//!
//! Here: the order of things and the clock. What to do is decided by `mailbox`, `select` and `machine`; `fetch` and
//! `deploy` carry it out, `todo` and `backoff` say when.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::sync::oneshot;
use towline_protocol::{Channel, HostName, MAX_REPORTS, Outcome, Secret};
use tracing::{error, info, warn};

use crate::{
    exit::Ending,
    relay_client::{Deadlines, RelayClient, RelayError},
    report::{Delivery, batch},
    settings::Settings,
    store::{Spooled, Store, StoreError},
};

mod backoff;
mod deploy;
mod engine;
mod fetch;
mod relay_thread;
mod stop;
mod todo;

pub use stop::Stop;

use backoff::pause;
use engine::Engine;
use relay_thread::{Polling, RelayThread};
use todo::Todo;

/// How soon to try again what the disk or the engine refused.
const LOCAL_RETRY: Duration = Duration::from_secs(10);

/// Everything that the loop works with.
#[derive(Debug)]
pub struct Poller {
    settings: Settings,
    host: HostName,
    store: Store,
    engine: Engine,
    /// Whether the engine was lost in the middle of a deploy, which has to be taken to its end first.
    interrupted: bool,
    relay: RelayThread,
    todo: Todo,
    /// Channels of which intents are missing, and from when on the hub may be asked for them.
    gaps: BTreeMap<Channel, Instant>,
    /// What this process has brought about.
    outcomes: Vec<Outcome>,
    /// Whether something could not be done.
    failed: bool,
}

impl Poller {
    /// Puts the parts together; nothing is asked of anyone yet. `docker_host` is the variable `DOCKER_HOST`.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn new(
        settings: Settings,
        host: HostName,
        token: &Secret,
        store: Store,
        docker_host: Option<String>,
    ) -> std::io::Result<Self> {
        let client = RelayClient::new(&settings.relay.url, token, Deadlines::default());
        Ok(Self {
            relay: RelayThread::start(client)?,
            settings,
            host,
            store,
            engine: Engine::at(docker_host),
            interrupted: false,
            todo: Todo::default(),
            gaps: BTreeMap::new(),
            outcomes: Vec::new(),
            failed: false,
        })
    }

    /// Fetches once, applies, reports, and says how that ended.
    ///
    /// # Errors
    /// When something outside of a deploy could not be done; deploys that were begun are at their end all the same.
    pub async fn once(mut self, stop: &Stop) -> anyhow::Result<Ending> {
        if !self.recover().await? {
            anyhow::bail!(
                "a deploy was interrupted and the engine cannot be reached to take it to its end"
            );
        }
        if let Err(error) = self.fetch_all().await {
            error!("{error:#}");
            self.failed = true;
        }
        self.work(stop).await?;
        if let Err(error) = self.send_all().await {
            error!("{error:#}; reports are kept and sent with the next run");
            self.failed = true;
        }
        Ok(Ending::Applied {
            outcomes: self.outcomes,
            failed: self.failed,
        })
    }

    async fn fetch_all(&mut self) -> anyhow::Result<()> {
        let mut asked = self.asked()?;
        let mut fresh = false;
        while !asked.is_empty() {
            let answer = self.relay.poll(asked, fresh).await;
            if let Some(polled) = answer.context("the relay thread has ended")?? {
                self.take_in(polled, fresh)?;
            }
            asked = self.gaps()?;
            fresh = true;
        }
        Ok(())
    }

    async fn send_all(&mut self) -> anyhow::Result<()> {
        while let Some(sending) = self.send()? {
            let delivery = sending.await.context("the relay thread has ended")?;
            if let Some(trouble) = self.note_delivery(delivery)? {
                return Err(trouble.into());
            }
        }
        Ok(())
    }

    /// Hands the next batch of the spool to the relay thread, if there is one.
    fn send(&self) -> Result<Option<oneshot::Receiver<Delivery>>, StoreError> {
        let spooled = self.store.spooled(MAX_REPORTS as u32)?;
        if spooled.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.relay.deliver(batch(&spooled).to_vec())))
    }

    /// Keeps what became of a batch; returns why the rest must wait.
    fn note_delivery(&mut self, delivery: Delivery) -> Result<Option<RelayError>, StoreError> {
        let ids: Vec<_> = delivery.taken.iter().map(|one| one.id).collect();
        self.store.acknowledge(&ids)?;
        for Spooled { report, .. } in &delivery.taken {
            let service = report.service.as_ref().map_or("", |name| name.as_str());
            info!(service, intent = %report.intent, "reported {}", report.outcome.map_or("", Outcome::as_str));
        }
        for (id, reason) in &delivery.refused {
            warn!("a report is put aside, since the relay will never take it: {reason}");
            self.store.park(*id, reason)?;
        }
        Ok(delivery.trouble)
    }

    /// Fetches, applies and reports until `stop`.
    ///
    /// # Errors
    /// When the state is damaged. Everything else is told in the log and tried again.
    pub async fn run(mut self, interval: Duration, mut stop: Stop) -> anyhow::Result<Ending> {
        info!(host = %self.host, relay = %self.settings.relay.url, services = self.settings.services.len(), "running");
        while !self.recover_or_tell().await? {
            if rest(&mut stop, LOCAL_RETRY).await {
                return Ok(Ending::Done);
            }
        }
        let mut rounds = Rounds::default();
        while !stop.is_wanted() {
            if let Err(error) = self.round(&mut rounds, interval, &mut stop).await {
                survivable(&error).map_err(|()| error)?;
                rounds.hold(LOCAL_RETRY);
                if rest(&mut stop, LOCAL_RETRY).await {
                    break;
                }
            }
        }
        info!("stopped");
        Ok(Ending::Done)
    }

    async fn recover_or_tell(&mut self) -> Result<bool, StoreError> {
        match self.recover().await {
            Ok(done) => Ok(done),
            Err(error) => survivable(&error).map_err(|()| error).map(|()| false),
        }
    }

    /// Does what is due and waits for what comes next.
    async fn round(
        &mut self,
        rounds: &mut Rounds,
        interval: Duration,
        stop: &mut Stop,
    ) -> Result<(), StoreError> {
        let now = Instant::now();
        let names = || self.settings.services.iter().map(|service| &service.name);
        if self.todo.pause(names(), now) == Some(Duration::ZERO) && rounds.polled {
            self.work(stop).await?;
        }
        let now = Instant::now();
        if rounds.polling.is_none() && rounds.next_poll.is_none_or(|at| at <= now) {
            rounds.polling = Some(self.relay.poll(self.asked()?, false));
        }
        if rounds.sending.is_none() && rounds.next_send.is_none_or(|at| at <= now) {
            rounds.sending = self.send()?;
        }
        let names = || self.settings.services.iter().map(|service| &service.name);
        let wake = rounds.wake(now, self.todo.pause(names(), now).filter(|_| rounds.polled));
        tokio::select! {
            () = stop.wanted() => {}
            () = tokio::time::sleep(wake) => {}
            answer = reply(&mut rounds.polling) => self.note_answer(rounds, answer, interval)?,
            delivery = reply(&mut rounds.sending) => {
                if let Some(trouble) = self.note_delivery(delivery)? {
                    rounds.send_failures += 1;
                    let pause = pause(interval, rounds.send_failures, trouble.retry_after(), jitter());
                    rounds.next_send = Some(Instant::now() + pause);
                    warn!("reports are kept, trying again in {} s: {trouble}", pause.as_secs());
                } else {
                    rounds.send_failures = 0;
                    rounds.next_send = None;
                }
            }
        }
        Ok(())
    }

    fn note_answer(
        &mut self,
        rounds: &mut Rounds,
        answer: Polling,
        interval: Duration,
    ) -> Result<(), StoreError> {
        let fresh = std::mem::take(&mut rounds.fresh);
        rounds.polled = true;
        match answer {
            Ok(polled) => {
                if rounds.poll_failures > 0 {
                    info!("the relay answers again");
                }
                rounds.poll_failures = 0;
                polled.map_or(Ok(()), |polled| self.take_in(polled, fresh))?;
                let gaps = self.gaps()?;
                if !gaps.is_empty() {
                    rounds.fresh = true;
                    rounds.polling = Some(self.relay.poll(gaps, true));
                }
                rounds.next_poll = Some(Instant::now() + pause(interval, 0, None, jitter()));
            }
            Err(error) => {
                self.note_hub_trouble();
                rounds.poll_failures += u32::from(!fresh);
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
struct Rounds {
    /// Whether the first poll is over, so that a host which comes back applies the newest intent, not the last one
    /// that it heard of.
    polled: bool,
    polling: Option<oneshot::Receiver<Polling>>,
    /// Whether the poll under way asks the hub.
    fresh: bool,
    next_poll: Option<Instant>,
    poll_failures: u32,
    sending: Option<oneshot::Receiver<Delivery>>,
    next_send: Option<Instant>,
    send_failures: u32,
}

impl Rounds {
    /// How long nothing is due; `work` is when a service is.
    fn wake(&self, now: Instant, work: Option<Duration>) -> Duration {
        let until = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(now));
        let poll = until(self.next_poll).filter(|_| self.polling.is_none());
        let send = until(self.next_send).filter(|_| self.sending.is_none());
        let soonest = [poll, send, work].into_iter().flatten().min();
        soonest.unwrap_or(Duration::from_secs(60 * 60))
    }

    fn hold(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        self.next_send = Some(self.next_send.map_or(until, |at| at.max(until)));
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

/// Waits for `pause`, or less when the process should end, and says whether it should.
async fn rest(stop: &mut Stop, pause: Duration) -> bool {
    tokio::select! {
        () = stop.wanted() => true,
        () = tokio::time::sleep(pause) => false,
    }
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

fn random() -> u32 {
    // Without randomness deploys still get names of their own from the clock.
    getrandom::u32().unwrap_or_else(|_| jiff::Timestamp::now().subsec_nanosecond().unsigned_abs())
}

fn jitter() -> f64 {
    f64::from(random()) / f64::from(u32::MAX)
}
