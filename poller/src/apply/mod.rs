//! Applying an intent to a container: look, pull, plan, then drive the machine to its end.
//!
//! Here the shell that acts: `prepare` does everything that touches nothing (registry, pull, plan), `drive` is
//! the one loop that writes the journal, makes the machine's call, and tells the machine what came of it; `keep` holds
//! on to what a service can be taken back to. What is decided is decided in `plan`, `spec` and `machine`. Not
//! here: which intent (`select`), reports and outcomes in the database (the caller closes the journal).

use std::{
    borrow::Cow,
    pin::pin,
    time::{Duration, Instant},
};

use thiserror::Error;
use towline_protocol::{Digest, Gate, Intent, Outcome, Side, StepTime, report::log_tail};

use crate::{
    backup::BackupName,
    compose::Placed,
    docker::{Docker, EngineError, RegistryTrouble},
    machine::{Deploy, Ending, Fault, JournalError, Leftover, Member},
    plan::Refusal,
    process::Launcher,
    sequence::Revision,
    settings::Service,
    store::{JournalEntry, KeptRevision, Store, StoreError},
    uptime::{Awaited, Moment},
    version::VersionId,
};

mod act;
mod back;
mod drive;
mod foresee;
mod group;
mod hide;
mod hooks;
mod image;
mod inspect;
mod join;
mod journal;
mod keep;
mod loss;
mod prepare;
mod progress;
mod said;
pub mod sequence;
mod start;
mod way;

pub use back::{WayBack, go_back};
pub use foresee::{Ahead, Foreseen, foresee};
pub use hooks::hooks_refusal;
pub use inspect::{InspectError, find, inspect_service};
pub(crate) use prepare::held;
pub use progress::Progress;

use drive::{Drive, drive};
use group::with_it;
use keep::{remember, tidy};
use prepare::{Known, Prepared, prepare};

/// One try to apply one intent to one service.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The service.
    pub service: &'a Service,
    /// The intent.
    pub intent: &'a Intent,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// 8 random hex digits, part of container names and labels.
    pub deploy: String,
}

/// How a try ended, for the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// How.
    pub outcome: Outcome,
    /// How sure the gate was, after a success.
    pub gate: Option<Gate>,
    /// What ran before; the commit is not known here.
    pub from: Side,
    /// What the intent asks for.
    pub to: Side,
    /// What the version that ran before is known by, if that is known.
    pub version_before: Option<VersionId>,
    /// What the version that the intent asks for is known by, if that is known.
    pub version: Option<VersionId>,
    /// What was told of that version to commands and projects, if it has such.
    pub revision: Option<Revision>,
    /// What of its Compose project is in place, after a success or where there was nothing to do; `None` where that is not known.
    pub placed: Option<Placed>,
    /// The same version of a service made of parts, as it can be gone back to, after a success.
    pub kept: Option<KeptRevision>,
    /// For people.
    pub message: String,
    /// The end of the failed version's output.
    pub log_tail: String,
    /// What took how long.
    pub steps: Vec<StepTime>,
    /// Whose fault it is if it did not succeed.
    pub fault: Fault,
    /// How it ends if it waits and nothing comes of that.
    pub after_wait: Outcome,
    /// How soon it is tried again if it waits, for as long as it takes; `None` when it waits for `awaited`, and not for ever.
    pub pause: Option<Duration>,
    /// What it waits for.
    pub awaited: Awaited,
    /// What kind of trouble there was with the image, if that is why.
    pub trouble: Option<RegistryTrouble>,
    /// Old containers that the engine did not let go.
    pub left: Vec<Leftover>,
    /// A backup that nobody needs any more as soon as this end is on record.
    pub spent: Option<BackupName>,
}

/// Why a try has no outcome yet. The intent stays.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The engine does not answer; nothing was touched.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The state directory cannot be written, or a newer version has written it; nothing was touched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The container may not be replaced like this; nothing was touched.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What is to be gone back to on purpose may not be put in place; nothing was touched.
    #[error("nothing was touched: {0}")]
    Unfit(String),
    /// Somebody asked to stop; nothing was touched.
    #[error("asked to stop before anything was touched")]
    Stopped,
    /// Somebody asked to stop while the new version was watched. The journal is open: `recover` goes on watching.
    #[error(
        "asked to stop in the gate of deploy {0}: the new version is watched on by the next run"
    )]
    Left(String),
    /// The engine was lost in the middle. The journal is open: `recover` goes on with it.
    #[error("deploy {deploy} was interrupted: {source}")]
    Interrupted {
        /// The deploy.
        deploy: String,
        /// What happened.
        source: EngineError,
    },
    /// A program that the interrupted deploy had started goes on and cannot be ended. The journal is open: `recover` tries
    /// again.
    #[error(
        "deploy {deploy} was interrupted, and what it had started goes on as session {session} and cannot be ended; nothing \
         is done for this service until it has (ps -s {session})"
    )]
    Outlived {
        /// The deploy.
        deploy: String,
        /// The number of the process that leads it.
        session: i32,
    },
}

impl ApplyError {
    /// Whether nothing has begun, so that the intent waits.
    pub fn has_touched_nothing(&self) -> bool {
        match self {
            Self::Engine(_)
            | Self::Store(_)
            | Self::Refused(_)
            | Self::Unfit(_)
            | Self::Stopped => true,
            Self::Left(_) | Self::Interrupted { .. } | Self::Outlived { .. } => false,
        }
    }
}

/// Applies an intent to a service, to its end: the caller closes the journal with what is returned.
///
/// As long as nothing is touched it is abandoned when `stop` is ready: a pull may take longer than a service manager
/// waits, and would be followed by a replacement. The gate may take as long, and is left to the next process when `leave` is
/// ready.
///
/// # Errors
/// See [`ApplyError`]: the intent is to be tried again.
pub async fn apply(
    engine: &Docker,
    launcher: &Launcher,
    store: &mut Store,
    job: &Job<'_>,
    stop: impl Future<Output = ()>,
    leave: impl Future<Output = ()>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Applied, ApplyError> {
    let (begun, moment) = (Instant::now(), Moment::now());
    let mut clock = StepClock::default();
    let quarantine = store.barred(&job.service.name, &job.intent.id)?;
    let brought = store.running(&job.service.name)?;
    let known = Known {
        quarantine: &quarantine,
        brought: brought.and_then(|running| running.side.digest),
    };
    // `stop` is looked at before each step of the preparations, so that the last look is right before the first record.
    let prepared = tokio::select! {
        biased;
        () = stop => return Err(ApplyError::Stopped),
        prepared = prepare(engine, launcher, job, &known, &mut clock, tell) => prepared?,
    };
    let (plan, replaced) = match prepared {
        Prepared::Ready(plan, replaced) => (*plan, replaced),
        Prepared::Over(mut applied) => {
            applied.steps = clock.times();
            return Ok(*applied);
        }
    };
    remember(store, &job.service.name, &replaced)?;
    let entry = JournalEntry {
        deploy: job.deploy.clone(),
        service: job.service.name.clone(),
        intent: job.intent.id.clone(),
        attempt: job.attempt,
        body: String::new(),
        on_purpose: None,
        begun: Some(moment),
    };
    let drive_with = Drive {
        engine: Cow::Borrowed(engine),
        service: Some(job.service),
        create: plan.create,
        recorded: None,
        launcher,
        entry,
        clock,
    };
    let name = &job.service.name;
    #[cfg(feature = "failpoints")]
    crate::failpoint::reach("prepared");
    let end = drive(drive_with, store, plan.deploy, pin!(leave), tell).await?;
    tidy(&end.engine, store, name, Some(job.service), &end.deploy).await;
    Ok(end.applied(begun.elapsed()))
}

/// Takes a deploy that was interrupted to its end: back to the old version, or forth if the new one was committed. What
/// is on record is enough for that: a disk that is full since then keeps no service down.
/// The gate is left to the next process when `leave` is ready. Without its `service`, which the host's file does not name any more, no gate is gone on with.
///
/// The time that it took is counted from the deploy's own beginning.
///
/// # Errors
/// See [`ApplyError`]: the journal stays open.
pub async fn recover(
    engine: &Docker,
    launcher: &Launcher,
    store: &mut Store,
    entry: &JournalEntry,
    service: Option<&Service>,
    leave: impl Future<Output = ()>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Applied, ApplyError> {
    let resumed = Moment::now();
    let recorded = match Deploy::from_journal(&entry.body) {
        Ok(recorded) => recorded,
        Err(error) => return unreadable(entry, &error),
    };
    let deploy = match service {
        Some(_) => recorded.clone().resume(),
        None => recorded.clone().resume_ungated(),
    };
    let with = Drive {
        engine: Cow::Borrowed(engine),
        service,
        create: Vec::new(),
        recorded: Some(recorded),
        launcher,
        entry: entry.clone(),
        clock: StepClock::default(),
    };
    let end = drive(with, store, deploy, pin!(leave), tell).await?;
    tidy(&end.engine, store, &entry.service, service, &end.deploy).await;
    let begun = entry.begun.as_ref().unwrap_or(&resumed);
    Ok(end.applied(begun.until(&Moment::now())))
}

/// How a deploy ends whose journal cannot be read. Its text stands where the report has a version's last words, since
/// it names the containers and nothing else will do so when the journal is closed. A newer version's is left to that one.
fn unreadable(entry: &JournalEntry, error: &JournalError) -> Result<Applied, ApplyError> {
    if let JournalError::Newer { found, .. } = error {
        let what = format!("the journal of deploy {}", entry.deploy);
        let found = i64::from(*found);
        return Err(StoreError::Newer { what, found }.into());
    }
    let message = format!("{}: {error}; nothing was touched", entry.service);
    let (from, to) = (Side::default(), Side::default());
    Ok(Applied {
        log_tail: log_tail(&entry.body).to_owned(),
        ..Applied::new(Outcome::NeedsOperator, from, to, message)
    })
}

impl Applied {
    /// An end of a service that is one container.
    pub(crate) fn new(outcome: Outcome, from: Side, to: Side, message: String) -> Self {
        let of_image = |side: &Side| side.digest.clone().map(VersionId::Digest);
        Self {
            outcome,
            gate: None,
            version_before: of_image(&from),
            version: of_image(&to),
            revision: None,
            placed: None,
            kept: None,
            from,
            to,
            message,
            log_tail: String::new(),
            steps: Vec::new(),
            fault: Fault::Host,
            after_wait: Outcome::FailedUntouched,
            pause: None,
            awaited: Awaited::Image,
            spent: None,
            trouble: None,
            left: Vec::new(),
        }
    }

    fn of(deploy: &Deploy, service: Option<&Service>, took: Duration) -> Self {
        let (outcome, gate, why) = match deploy.ending() {
            Some(Ending::Succeeded { gate }) => (Outcome::Succeeded, *gate, None),
            Some(Ending::RolledBack { why }) => (Outcome::RolledBack, None, Some(why)),
            Some(Ending::FailedUntouched { why }) => (Outcome::FailedUntouched, None, Some(why)),
            Some(Ending::NeedsOperator { why } | Ending::Paused { why, .. }) => {
                (Outcome::NeedsOperator, None, Some(why))
            }
            None => (Outcome::Applying, None, None),
        };
        let name = service.map_or("the service", |service| service.name.as_str());
        let (from, to) = (
            short(deploy.from.digest.as_ref()),
            short(deploy.to.digest.as_ref()),
        );
        let seconds = took.as_secs_f64();
        let mut own = deploy.members.iter().enumerate();
        let stopped = own.any(|(at, member)| !member.runs && !deploy.is_companion(at));
        let mut message = match why {
            None if stopped => {
                format!("{name}: {from} -> {to} in {seconds:.1} s; it was stopped and stays so")
            }
            None => format!("{name}: {from} -> {to} in {seconds:.1} s"),
            Some(why) => match deploy.paused_in_words() {
                Some(paused) => format!("{name}: {to} failed: {why}; {paused}"),
                None => format!("{name}: {to} failed: {why}"),
            },
        };
        if let Some(with) = with_it(deploy) {
            message.push_str("; ");
            message.push_str(&with);
        }
        for note in &deploy.notes {
            message.push_str("; ");
            message.push_str(note);
        }
        let was_unwell = |(at, member): (usize, &Member)| {
            member.runs && !member.was_healthy && !deploy.is_companion(at)
        };
        let mut members = deploy.members.iter().enumerate();
        if deploy.fault == Fault::Version && members.any(was_unwell) {
            message
                .push_str("; the version before did not pass its checks either: are they right?");
        }
        Self {
            gate,
            fault: deploy.fault,
            left: deploy.left.clone(),
            ..Self::new(outcome, deploy.from.clone(), deploy.to.clone(), message)
        }
    }
}

fn short(digest: Option<&Digest>) -> &str {
    digest.map_or("unknown", Digest::short)
}

/// Adds up what took how long, in the order of the first times.
#[derive(Debug, Default)]
struct StepClock(Vec<(String, Duration)>);

impl StepClock {
    fn add(&mut self, step: &str, took: Duration) {
        match self.0.iter_mut().find(|(name, _)| name == step) {
            Some((_, total)) => *total += took,
            None => self.0.push((step.to_owned(), took)),
        }
    }

    fn times(self) -> Vec<StepTime> {
        let ms = |took: Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.0
            .into_iter()
            .map(|(step, took)| StepTime { step, ms: ms(took) })
            .collect()
    }
}

#[cfg(test)]
mod tests;
