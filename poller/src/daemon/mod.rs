//! The loop: fetch, take in, apply, report. One tokio thread, beside the threads in which the relay client blocks.
//!
//! Here: the order of things and the clock. What to do is decided by `mailbox`, `select` and `machine`; `fetch`,
//! `choose` and `deploy` carry it out, `run` and `todo` say when, `turn` what comes after what. `on_purpose`, `roll_back`, `restore`
//! and `resolve` do what an operator asks for, `locks` keeps deploys off a service for who asks for that; `watch` looks after what
//! was deployed; `notices` and `orders` are the loop's end of the control socket.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use jiff::Timestamp;
use towline_protocol::{Channel, HostName, Outcome, Report, Secret, ServiceName};
use tracing::{error, warn};

use crate::{
    apply::Applied,
    backoff::{jitter, random},
    credentials::Keyring,
    exit::Ending,
    process::{Launcher, Leftovers},
    redact::Secrets,
    relay_client::{Deadlines, RelayClient, Tag},
    route::Route,
    settings::Settings,
    status::Watch,
    store::Store,
    terminal::Terminal,
};

mod bell;
mod choose;
mod deploy;
mod ending;
mod engine;
mod fetch;
mod go_back;
mod heartbeat;
mod leftovers;
mod locks;
mod notices;
mod on_purpose;
mod orders;
mod outbox;
mod pending;
mod relay_thread;
mod resolve;
mod restore;
mod roll_back;
mod run;
mod stop;
mod todo;
mod turn;
mod watch;

pub use locks::change_locks;
pub use on_purpose::{AFTER_A_CHANGE, Declined};
pub use resolve::resolve;
pub use restore::{Restore, Restored};
pub use stop::Stop;

use bell::Bell;
use engine::Engine;
use heartbeat::Heartbeat;
use locks::LockNews;
use notices::Notices;
use outbox::Outbox;
use pending::Aside;
use relay_thread::RelayThread;
use todo::Todo;

/// How soon to try again what the disk or the engine refused.
const LOCAL_RETRY: Duration = Duration::from_secs(10);

/// How long a command that works offline tries to report.
const REPORTING: Duration = Duration::from_secs(10);

/// Everything that the loop works with.
#[derive(Debug)]
pub struct Poller {
    settings: Settings,
    host: HostName,
    store: Store,
    engine: Engine,
    launcher: Launcher,
    /// What an earlier process has left running and this one could not end.
    left: Leftovers,
    relay: RelayThread,
    bell: Bell,
    outbox: Outbox,
    heartbeat: Heartbeat,
    /// What the relay was told by this process of tries that are not at their ends, beside what is on disk.
    pending: BTreeMap<ServiceName, Report>,
    aside: Aside,
    /// The host's token, which no report may tell.
    secrets: Secrets,
    /// The tag of the last answer that was taken in.
    tag: Option<Tag>,
    todo: Todo,
    lock_news: LockNews,
    /// Channels of which intents are missing, and from when on the hub may be asked for them.
    gaps: BTreeMap<Channel, Instant>,
    /// Channels that the relay is not asked for, since the token is not for them.
    left_out: Vec<Channel>,
    /// How many answers of the hub came one after another.
    pages: u32,
    /// How many tries in a row have found the registry of a service's image in a state in which it wants rest.
    restless: BTreeMap<ServiceName, u32>,
    /// What this process has brought about.
    outcomes: Vec<Outcome>,
    /// How deploys have ended whose journals could not be closed then, by their names: none is gone through twice for that.
    unclosed: BTreeMap<String, Applied>,
    /// Whether something could not be done.
    failed: bool,
    notices: Notices,
    watch: Watch,
    /// [`Store::changes`] when the store was last read for the notices.
    published_at: Option<u64>,
}

impl Poller {
    /// Puts the parts together; nothing is asked of anyone yet. `docker_host` is the variable `DOCKER_HOST`.
    ///
    /// # Errors
    /// When it is not known how to reach the relay, or the system refuses a thread.
    pub fn new(
        settings: Settings,
        host: HostName,
        token: &Secret,
        store: Store,
        docker_host: Option<String>,
    ) -> anyhow::Result<Self> {
        let route = Route::of(&settings.relay, |name| std::env::var_os(name))?;
        let keyring = Keyring::new(settings.registry_auth_file.as_deref(), |name| {
            std::env::var_os(name)
        });
        let mut secrets = Secrets::default();
        if let Some(token) = token.expose_str() {
            secrets.add(token);
        }
        let client = RelayClient::new(&route, token, Deadlines::default())?;
        Ok(Self {
            relay: RelayThread::start(client)?,
            bell: Bell::new(route, token.clone()),
            outbox: Outbox::default(),
            heartbeat: Heartbeat::new(Instant::now()),
            pending: BTreeMap::new(),
            aside: Aside::new(Timestamp::now()),
            secrets,
            settings,
            host,
            store,
            engine: Engine::at(docker_host, keyring),
            launcher: Launcher::own(),
            left: Leftovers::default(),
            tag: None,
            todo: Todo::default(),
            lock_news: LockNews::default(),
            gaps: BTreeMap::new(),
            left_out: Vec::new(),
            pages: 0,
            restless: BTreeMap::new(),
            outcomes: Vec::new(),
            unclosed: BTreeMap::new(),
            failed: false,
            notices: Notices::new(Timestamp::now()),
            watch: Watch::default(),
            published_at: None,
        })
    }

    /// Does not ask the relay for the channels that the token is not for: it refuses a question that names one of them,
    /// and the other services would hear of nothing. When none would be left it is asked all the same, and says so.
    #[must_use]
    pub fn without(mut self, channels: Vec<Channel>) -> Self {
        self.failed |= !channels.is_empty();
        self.left_out = channels;
        self
    }

    /// Shows what goes on at this terminal.
    #[must_use]
    pub fn showing_at(mut self, terminal: Terminal) -> Self {
        self.notices.show_at(terminal);
        self
    }

    /// What there is to say of what came to an end since this was last asked, for people; a line each.
    pub fn said(&mut self) -> String {
        self.notices.take_ends().join("\n")
    }

    /// Fetches once, applies, reports, and says how that ended. What could not be done is told in the log.
    pub async fn once(mut self, stop: &Stop) -> Ending {
        if let Err(error) = self.fetch_and_work(stop).await {
            error!("{error:#}");
            self.failed = true;
        }
        self.send_or_tell().await;
        if self.notices.has_answer() {
            self.greet().await;
        }
        self.ending()
    }

    /// Reports what there is to report, for a short time: nothing depends on it, and what the relay has not taken is
    /// sent with the next run.
    pub async fn report_soon(&mut self) {
        match tokio::time::timeout(REPORTING, self.send_all()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("{error:#}; reports are kept and sent with the next run"),
            Err(_) => warn!(
                "the relay has not answered within {} s; reports are kept and sent with the next run",
                REPORTING.as_secs()
            ),
        }
    }

    /// Reports what there is to report, and says how everything since the beginning ended.
    pub async fn finish(mut self) -> Ending {
        self.send_or_tell().await;
        self.ending()
    }

    async fn send_or_tell(&mut self) {
        if let Err(error) = self.send_all().await {
            error!("{error:#}; reports are kept and sent with the next run");
            self.failed = true;
        }
    }

    fn ending(self) -> Ending {
        Ending::Applied {
            outcomes: self.outcomes,
            failed: self.failed,
        }
    }

    async fn fetch_and_work(&mut self, stop: &Stop) -> anyhow::Result<()> {
        let left = self.recover(stop).await?;
        if stop.is_wanted() && !left.is_empty() {
            return Ok(());
        }
        if self.lacks_engine(&left).await? {
            const LOST: &str =
                "a deploy was interrupted and the engine cannot be reached to take it to its end";
            let mut services = self.settings.services.iter();
            if services.all(|service| service.work.needs_engine()) {
                anyhow::bail!(LOST);
            }
            error!("{LOST}");
            self.failed = true;
        }
        self.clear_scratch();
        self.clear_leftovers(stop).await?;
        if let Err(error) = self.fetch_all().await {
            error!("{error:#}");
            self.failed = true;
        }
        self.work(stop).await?;
        // A try that an outage of the engine has interrupted is made again at once, a limited number of times.
        while !stop.is_wanted() && self.is_due() {
            self.work(stop).await?;
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        let names = self.settings.services.iter().map(|service| &service.name);
        self.todo.pause(names, Instant::now()) == Some(Duration::ZERO)
    }

    async fn fetch_all(&mut self) -> anyhow::Result<()> {
        let mut asked = self.asked()?;
        let mut fresh = false;
        while !asked.is_empty() {
            let answer = self.poll(asked, fresh).await;
            let answer = answer.context("the relay thread has ended")??;
            self.notices.note_relay(None);
            if let Some(answer) = answer {
                self.take_in(answer, fresh)?;
            }
            asked = self.gaps()?;
            fresh = true;
        }
        Ok(())
    }

    async fn send_all(&mut self) -> anyhow::Result<()> {
        const ENDED: &str = "the relay thread has ended";
        // What had no success while a deploy went on is sent once more.
        while !self.outbox.is_idle() {
            let delivery = self.outbox.delivered().await.context(ENDED)?;
            self.note_delivery(delivery)?;
        }
        while self.send()? {
            let delivery = self.outbox.delivered().await.context(ENDED)?;
            if let Some(trouble) = self.note_delivery(delivery)? {
                return Err(trouble.into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
