//! How each service stands: what runs, since when, from which commit and digest, what is pending and why.
//!
//! Here: the types, which are also the shape of `towline status --json`, and how their parts are put together, which is pure.
//! `record` reads what the state directory knows, `look` asks the engine, `checkout` git, `standing` says what both come to, `trouble`
//! compares looks. Not here: who may ask and how that travels (`control`), how it is written down for people (`cli`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use towline_protocol::{Digest, HostName, IntentId, Outcome, ServiceName, Sha};

use crate::{
    compose::Placed,
    lock::{Lock, LockName, Reason},
    settings::Parts,
    uptime::Moment,
    version::VersionId,
};

mod checkout;
mod look;
mod project;
mod record;
mod replicas;
mod standing;
mod trouble;

pub use checkout::CheckoutStatus;
pub use look::{Seen, Shown, Sought, leftovers, look, look_at_containers};
pub use project::{Missing, ProjectContainer};
pub use trouble::{Change, Watch};

/// The shape's number. Fields may be added to a shape, what is there keeps its name and meaning.
pub const FORMAT: u32 = 1;

/// How this host and its services stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// See [`FORMAT`].
    pub format: u32,
    /// When this was put together.
    pub at: Timestamp,
    /// The host, by its token.
    pub host: HostName,
    /// The process that serves; `None` when `towline run` does not run.
    pub poller: Option<PollerStatus>,
    /// What is known of the relay.
    pub relay: RelayStatus,
    /// What the relay has still to hear.
    pub reports: ReportsStatus,
    /// What is known of the engine.
    pub engine: EngineStatus,
    /// The services, in the order of their names.
    pub services: Vec<ServiceStatus>,
}

/// The process that serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollerStatus {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Since when it runs.
    pub since: Timestamp,
}

/// What is known of the relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayStatus {
    /// Its origin.
    pub url: String,
    /// When it last answered a poll of the process that serves.
    pub answered_at: Option<Timestamp>,
    /// Why the last poll got no answer, if it got none.
    pub trouble: Option<String>,
    /// How the doorbell of the process that serves stands; `None` when none serves.
    #[serde(default)]
    pub doorbell: Option<DoorbellStatus>,
}

/// How the doorbell stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorbellStatus {
    /// Whether there is a connection.
    pub state: DoorbellState,
    /// Since when it is so, where that is known.
    pub since: Option<Timestamp>,
    /// Why there is none, if it was lost or did not come about.
    pub trouble: Option<String>,
}

/// Whether there is a connection by which intents come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoorbellState {
    /// The host's file turns it off, or the token is for none of the channels.
    Off,
    /// The first one has neither come about nor failed.
    Connecting,
    /// There is one.
    Connected,
    /// There is none; it is tried again and again.
    Lost,
}

/// What the relay has still to hear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportsStatus {
    /// Reports that wait to be sent.
    pub unsent: u32,
    /// Reports that the relay has refused for good.
    pub refused: u32,
}

/// What is known of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineStatus {
    /// Why it could not be asked just now.
    pub trouble: Option<String>,
}

/// How a service stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The service.
    pub name: ServiceName,
    /// What kind of thing it is: `docker`, `compose`, `command` or `git`.
    #[serde(default = "docker")]
    pub kind: String,
    /// The name of its container, as the host's file says it; `None` when that has a label instead.
    pub container: Option<String>,
    /// The label by which its container is chosen.
    #[serde(default)]
    pub label: Option<String>,
    /// What the last deploy that took effect has brought.
    pub deployed: Option<Deployed>,
    /// Whether an operator was needed since, so that nobody knows what is in place but by what is seen of it.
    #[serde(default)]
    pub unsure: bool,
    /// What the engine shows of the container now, of several together; `None` when it could not be asked, and for a
    /// service without one.
    pub observed: Option<Observed>,
    /// What the engine shows of each of its containers where its label leads to several; empty otherwise.
    #[serde(default)]
    pub replicas: Vec<Observed>,
    /// What the engine shows of the containers of its Compose project; `None` when it could not be asked, and without one.
    #[serde(default)]
    pub containers: Option<Vec<ProjectContainer>>,
    /// The services of its Compose project that have too few containers; empty also when that is not known.
    #[serde(default)]
    pub missing: Vec<Missing>,
    /// How its checkout is now; `None` without one.
    #[serde(default)]
    pub checkout: Option<CheckoutStatus>,
    /// What is still to be done, and why it is not done yet.
    pub pending: Option<Pending>,
    /// How the last deploy ended.
    pub last: Option<Last>,
    /// The versions that failed here and are not tried again by themselves.
    #[serde(default)]
    pub quarantined: Vec<VersionId>,
    /// Why it stays as it is until a newer intent comes, if an operator took it back.
    #[serde(default)]
    pub held: Option<Held>,
    /// Who holds its deploys off, in the order of their names.
    #[serde(default)]
    pub locks: Vec<HeldOff>,
    /// What it is made of if it is not one container, for whoever looks.
    #[serde(skip)]
    pub(super) parts: Option<Box<Parts>>,
    /// What of its project the last deploy that took effect has left in place, for whoever looks.
    #[serde(skip)]
    pub(super) placed: Option<Placed>,
}

fn docker() -> String {
    "docker".to_owned()
}

/// A service that an operator took back to an earlier version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Since when.
    pub since: Timestamp,
    /// What for.
    pub why: String,
}

/// That somebody holds deploys of a service off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOff {
    /// Who, by a name of their own choice.
    pub name: LockName,
    /// Since when.
    pub since: Timestamp,
    /// Until when, unless they let go before, or do it again.
    pub until: Timestamp,
    /// What for, if they said so.
    pub reason: Option<Reason>,
}

impl HeldOff {
    fn of(lock: &Lock, now: &Moment) -> Self {
        Self {
            name: lock.name.clone(),
            since: lock.since.at,
            until: lock.until(now),
            reason: lock.reason.clone(),
        }
    }
}

/// What a deploy has brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The commit.
    pub sha: Option<Sha>,
    /// The image.
    pub digest: Option<Digest>,
    /// The intent that asked for it; `None` when an operator went back to what no deploy had brought.
    pub intent: Option<IntentId>,
    /// Since when.
    pub since: Timestamp,
}

/// What the engine shows of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The engine's word: `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`; `absent` when
    /// there is no such container, `ambiguous` when several have the label and are no replicas of one thing.
    pub state: String,
    /// Its name, if there is such a container.
    #[serde(default)]
    pub name: Option<String>,
    /// What its healthcheck says, if it has one: `starting`, `healthy` or `unhealthy`.
    pub health: Option<String>,
    /// How it ended, when it does not run.
    pub exit_code: Option<i64>,
    /// When it was last started, if ever.
    pub started_at: Option<Timestamp>,
    /// How often the engine has started it again since somebody started it.
    #[serde(default)]
    pub restarts: u64,
    /// The reference that it was made with.
    pub reference: Option<String>,
    /// The digest of its image, if that came from a registry.
    pub digest: Option<Digest>,
}

/// What is still to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// How far that is.
    pub state: PendingState,
    /// What is to be applied; the one that failed, when an operator is needed.
    pub intent: IntentId,
    /// Its commit, if it is kept and names one.
    pub sha: Option<Sha>,
    /// Why it is not done yet, or the step under way.
    pub why: String,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// When waiting ends.
    pub until: Option<Timestamp>,
}

/// How far something pending is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingState {
    /// Its turn has not come.
    Queued,
    /// It waits for what `why` says: its image, its commit, a service before it, that the host's clock is right, or that nobody
    /// holds it off.
    Waiting,
    /// It is being applied now.
    Applying,
    /// It was interrupted in the middle, and is taken to its end when `towline` runs and reaches the engine.
    Interrupted,
    /// It failed, and nothing is tried until `towline resolve`.
    NeedsOperator,
}

/// How the last deploy ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// How.
    pub outcome: Outcome,
    /// The intent.
    pub intent: IntentId,
    /// When.
    pub at: Timestamp,
    /// What was said about it.
    pub message: String,
}

/// A deploy under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underway {
    /// The service.
    pub service: ServiceName,
    /// What is applied.
    pub intent: IntentId,
    /// Its commit.
    pub sha: Option<Sha>,
    /// The last step that was told.
    pub step: String,
    /// Since when.
    pub since: Timestamp,
}

impl Status {
    /// Leaves only `service`, if one is asked for; `None` when the host's file does not name it.
    pub fn of(mut self, service: Option<&ServiceName>) -> Option<Self> {
        if let Some(name) = service {
            self.services.retain(|service| service.name == *name);
        }
        (service.is_none() || !self.services.is_empty()).then_some(self)
    }

    /// Says who holds which service off at `now`, of all `locks` that there are.
    pub fn with_locks(mut self, locks: &BTreeMap<ServiceName, Vec<Lock>>, now: &Moment) -> Self {
        for service in &mut self.services {
            let locks = locks.get(&service.name).into_iter().flatten();
            let on = locks.filter(|lock| lock.is_on(now));
            service.locks = on.map(|lock| HeldOff::of(lock, now)).collect();
        }
        self
    }

    /// Adds what is being done at this moment.
    pub fn with_underway(mut self, underway: Option<&Underway>) -> Self {
        let Some(underway) = underway else {
            return self;
        };
        let name = &underway.service;
        let service = self.services.iter_mut().find(|one| one.name == *name);
        if let Some(service) = service {
            service.pending = Some(Pending {
                state: PendingState::Applying,
                intent: underway.intent.clone(),
                sha: underway.sha.clone(),
                why: underway.step.clone(),
                since: Some(underway.since),
                until: None,
            });
        }
        self
    }

    /// Adds what is seen of the services, in their order.
    pub fn with_seen(mut self, seen: Seen, now: Timestamp) -> Self {
        for (service, shown) in self.services.iter_mut().zip(seen.services) {
            (service.observed, service.replicas) = (shown.observed, shown.replicas);
            (service.containers, service.missing) = (shown.containers, shown.missing);
            service.checkout = shown.checkout;
        }
        self.engine.trouble = seen.engine;
        self.at = now;
        self
    }

    /// What to look at, in the order of the services.
    pub fn sought(&self) -> Vec<Sought> {
        self.services.iter().map(ServiceStatus::sought).collect()
    }
}
