//! Applying an intent to a service made of parts: a checkout, commands, a Compose project, and a backup before.
//!
//! As for containers, `prepare` does everything that touches nothing, and `drive` is the one loop that writes the journal,
//! does what the machine asks for (`act`, `command`) and tells it what came of that. What is decided is decided in
//! `crate::sequence`. Not here: how git, Compose, programs and archives work (the top modules of these names).

use std::{
    pin::{Pin, pin},
    time::Instant,
};

use super::{Applied, ApplyError, Job, Progress, StepClock, journal::Journal, unreadable};
use crate::{
    docker::Docker,
    process::{GRACE, Launcher, Leftover, Leftovers},
    sequence::Sequence,
    settings::{Parts, Service},
    store::{JournalEntry, Store},
    uptime::Moment,
};

mod act;
mod archive;
mod back;
mod checkout;
mod command;
mod drive;
mod ended;
mod foresee;
mod ground;
mod halt;
mod hooks;
mod keep;
mod known;
mod prepare;
mod programs;
mod project;
mod running;
mod scratch;
mod stack;
mod words;

pub use back::{WayBack, current, go_back};
pub(crate) use command::left_running;
pub use command::refusal as program_refusal;
use drive::{Drive, End, drive};
use ended::untouched;
pub use foresee::{Ahead, foresee};
pub(crate) use ground::Ground;
pub use hooks::unknown_service;
use keep::NotKept;
use known::Known;
use prepare::{Prepared, prepare};
pub use scratch::sweep;

/// What a deploy acts with.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// The engine; there when the parts need one.
    pub engine: Option<&'a Docker>,
    /// What starts programs.
    pub launcher: &'a Launcher,
}

/// Applies an intent to a service made of `parts`, to its end: the caller closes the journal with what is returned.
///
/// `stop` and `leave` are heeded as for a container: the one before anything is touched, the other in the gate. A command
/// under way is waited for.
///
/// # Errors
/// See [`ApplyError`]: the intent is to be tried again.
pub async fn apply(
    host: Host<'_>,
    store: &mut Store,
    job: &Job<'_>,
    parts: &Parts,
    stop: impl Future<Output = ()>,
    leave: impl Future<Output = ()>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Applied, ApplyError> {
    let (begun, moment) = (Instant::now(), Moment::now());
    let mut clock = StepClock::default();
    let (name, intent) = (&job.service.name, &job.intent.id);
    let known = Known::of(store, name, store.barred(name, intent)?)?;
    let shelf = archive::shelf(store, name);
    let prepared = tokio::select! {
        biased;
        () = stop => return Err(ApplyError::Stopped),
        prepared = prepare(host, job, parts, &known, &shelf, &mut clock, tell) => prepared?,
    };
    let sequence = match prepared {
        Prepared::Ready(sequence) => *sequence,
        Prepared::Over(mut applied) => {
            applied.steps = clock.times();
            return Ok(*applied);
        }
    };
    let entry = JournalEntry {
        deploy: job.deploy.clone(),
        service: job.service.name.clone(),
        intent: job.intent.id.clone(),
        attempt: job.attempt,
        body: String::new(),
        on_purpose: None,
        begun: Some(moment),
    };
    let ground = Ground::of(parts);
    let mut with = Drive::new(host, Some(job.service), entry, ground, shelf, clock);
    with.channel = Some(job.intent.channel.clone());
    let planned = sequence.clone();
    match begin(with, store, sequence, &known, pin!(leave), tell).await {
        Ok(end) => Ok(end.applied(begun.elapsed())),
        Err(NotKept::Commit(why)) => Ok(untouched(&planned, &job.service.name, &why)),
        Err(NotKept::Apply(error)) => Err(error),
    }
}

/// Takes a deploy that is prepared from its beginning to its end.
async fn begin<'a>(
    with: Drive<'a>,
    store: &mut Store,
    sequence: Sequence,
    known: &Known,
    leave: Pin<&mut dyn Future<Output = ()>>,
    tell: &mut dyn FnMut(Progress),
) -> Result<End<'a>, NotKept> {
    keep::remember(&with, store, &sequence, known).await?;
    #[cfg(feature = "failpoints")]
    crate::failpoint::reach("prepared");
    let end = drive(with, store, Journal::after(None), sequence, leave, tell).await?;
    keep::tidy(&end.with, store, &end.sequence, end.kept.as_ref()).await;
    Ok(end)
}

/// Takes a deploy of parts that was interrupted to its end, once what its program has left is ended, which is tried once for
/// the same `leftovers`. What is on record is enough for that, also when the host's
/// file names the service no more, or as something else; `service` is `None` then, and no gate is gone on with.
///
/// # Errors
/// See [`ApplyError`]: the journal stays open.
pub async fn recover(
    host: Host<'_>,
    store: &mut Store,
    leftovers: &mut Leftovers,
    entry: &JournalEntry,
    service: Option<&Service>,
    leave: impl Future<Output = ()>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Applied, ApplyError> {
    let resumed = Moment::now();
    let recorded = match Sequence::from_journal(&entry.body) {
        Ok(recorded) => recorded.checked(service.map(|one| !one.health.is_empty())),
        Err(error) => return unreadable(entry, &error),
    };
    if let Some(process) = &recorded.process
        && leftovers.end(process, GRACE).await == Leftover::Stays
    {
        let deploy = entry.deploy.clone();
        let session = process.pid;
        return Err(ApplyError::Outlived { deploy, session });
    }
    let sequence = match service {
        Some(_) => recorded.clone().resume(),
        None => recorded.clone().resume_ungated(),
    };
    let intent = store.intent(&entry.intent)?;
    let channel = intent.map(|intent| intent.channel);
    let channel = channel.or_else(|| service.map(|service| service.rule.channel.clone()));
    let ground = Ground::of(&recorded.parts);
    let shelf = archive::shelf(store, &entry.service);
    let clock = StepClock::default();
    let mut with = Drive::new(host, service, entry.clone(), ground, shelf, clock);
    with.channel = channel;
    let journal = Journal::after(Some(recorded));
    let end = drive(with, store, journal, sequence, pin!(leave), tell).await?;
    keep::tidy(&end.with, store, &end.sequence, end.kept.as_ref()).await;
    let begun = entry.begun.as_ref().unwrap_or(&resumed);
    Ok(end.applied(begun.until(&Moment::now())))
}
