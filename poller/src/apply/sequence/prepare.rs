//! Everything before the first touch of a service made of parts: what is refused, what is there, what it will be.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use towline_protocol::{Digest, Intent, Outcome, ServiceName, Side, Source};

use super::{
    super::{Applied, ApplyError, Job, Progress, StepClock, prepare::held},
    Host, archive,
    checkout::{self, Tree},
    ground::Ground,
    programs,
    project::Planning,
};
use crate::{
    backup::Shelf,
    docker::RegistryTrouble,
    health,
    machine::Fault,
    select::{Admission, admission},
    sequence::{Before, Revision, Sequence},
    settings::{Parts, Service},
    store::{Quarantined, Running, Store, StoreError},
    uptime::Awaited,
    version::VersionId,
};

/// How many of the last ends, the newest first, are looked through for one that says what is in place.
const LOOKED_THROUGH: u32 = 50;

/// Where the preparations led.
pub(super) enum Prepared {
    /// To a deploy that can begin.
    Ready(Box<Sequence>),
    /// To an outcome: there is nothing to do, or nothing can be done.
    Over(Box<Applied>),
}

/// What is known of the service from earlier deploys.
pub(super) struct Known {
    /// What is not to be tried.
    pub(super) quarantine: Vec<Quarantined>,
    /// What the last one that took effect has brought.
    pub(super) running: Option<Running>,
    /// What was told of that.
    pub(super) old: Revision,
    /// Whether an operator was needed since, so that nobody knows what is in place.
    pub(super) is_unsure: bool,
}

impl Known {
    /// What `service` is known to be; `quarantine` is what is not to be tried.
    pub(super) fn of(
        store: &Store,
        service: &ServiceName,
        quarantine: Vec<Quarantined>,
    ) -> Result<Self, StoreError> {
        let running = store.running(service)?;
        let intent = running.as_ref().and_then(|running| running.intent.clone());
        let intent = intent.map(|intent| store.intent(&intent)).transpose()?;
        let sha = running
            .as_ref()
            .and_then(|running| running.side.sha.clone());
        // What an older version of towline has brought is told by its intent, as long as that is kept.
        let own = running
            .as_ref()
            .and_then(|running| running.revision.clone());
        let told = own.or_else(|| intent.flatten().map(|intent| revision(&intent)));
        let old = told.filter(|told| told.sha == sha).unwrap_or(Revision {
            sha,
            ..Revision::default()
        });
        // The newest first.
        let ends = store.history(Some(service), LOOKED_THROUGH)?;
        let mut ends = ends.iter().filter_map(|past| past.report.outcome);
        let last = ends.find(|outcome| says_what_is_there(*outcome));
        Ok(Self {
            quarantine,
            running,
            old,
            is_unsure: last == Some(Outcome::NeedsOperator),
        })
    }

    /// What the last deploy that took effect has brought.
    pub(super) fn brought(&self) -> Option<VersionId> {
        self.running.as_ref().and_then(Running::version)
    }

    /// Whether the last deploy that took effect has brought `version`, as far as anybody knows.
    pub(super) fn has_brought(&self, version: &VersionId) -> bool {
        !self.is_unsure && self.brought().as_ref() == Some(version)
    }

    /// The deploy from this to `new`.
    pub(super) fn before(&self, new: Revision, new_version: Option<VersionId>) -> Before {
        Before {
            old: self.old.clone(),
            old_version: self.brought(),
            new,
            new_version,
            ..Before::default()
        }
    }

    /// The side that `before` begins from.
    pub(super) fn from(&self, before: &Before) -> Side {
        let running = self.running.as_ref();
        Side {
            sha: before.old.sha.clone(),
            digest: running.and_then(|running| running.side.digest.clone()),
        }
    }
}

/// Whether what is in place is known by such an end, or is known not to be.
fn says_what_is_there(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Succeeded | Outcome::Unchanged | Outcome::RolledBack | Outcome::NeedsOperator => {
            true
        }
        Outcome::FailedUntouched
        | Outcome::Waiting
        | Outcome::Applying
        | Outcome::Superseded
        | Outcome::Stale
        | Outcome::Expired
        | Outcome::Quarantined
        | Outcome::Refused => false,
    }
}

/// What an intent tells of its version.
pub(super) fn revision(intent: &Intent) -> Revision {
    let run_number = match &intent.source {
        Source::WorkflowRun(run) => Some(run.run_number),
        Source::Actions(job) => Some(job.run_number),
        Source::Push(_)
        | Source::RegistryPackage(_)
        | Source::Release(_)
        | Source::Deployment(_)
        | Source::Manual { .. }
        | Source::Unknown => None,
    };
    Revision {
        sha: intent.revision.sha.clone(),
        branch: intent.revision.branch.clone(),
        tag: intent.revision.tag.clone(),
        run_number,
    }
}

/// Why there will be no deploy.
pub(super) enum Halt {
    /// It ends here, for this reason.
    Over(Outcome, String),
    /// Nothing is known yet; the intent stays.
    Later(ApplyError),
    /// The version can never run here, for this reason.
    Unfit(String),
    /// An image could not be had, for this reason.
    NoImage(RegistryTrouble, String),
    /// The version failed here, and this intent may mean one that is still to come.
    Held(String),
    /// The commit is not there yet, for this reason, and not waited for without end.
    NoCommit(String),
    /// It may be possible later.
    Wait {
        /// How soon it is tried again, for as long as it takes.
        pause: Duration,
        /// Why not now.
        message: String,
    },
}

pub(super) async fn prepare(
    host: Host<'_>,
    job: &Job<'_>,
    parts: &Parts,
    known: &Known,
    shelf: &Shelf,
    clock: &mut StepClock,
    tell: &mut dyn FnMut(Progress),
) -> Result<Prepared, ApplyError> {
    let new = revision(job.intent);
    let new_version = new.sha.clone().map(VersionId::Commit);
    let mut before = known.before(new, new_version);
    let with = Ready {
        host,
        job,
        parts,
        known,
        shelf,
    };
    let ready = with.look_through(&mut before, clock, tell).await;
    let from = known.from(&before);
    let mut to = Side {
        sha: before.new.sha.clone(),
        digest: None,
    };
    let (mut pause, mut after_wait) = (None, Outcome::FailedUntouched);
    let (mut fault, mut trouble) = (Fault::Host, None);
    let mut awaited = Awaited::Image;
    let (outcome, message) = match ready {
        Ok(digest) => {
            to.digest = digest;
            let deploy = job.deploy.clone();
            let mut sequence = Sequence::new(deploy, parts.clone(), before, from, to);
            programs::fit_way_back(host, &mut sequence).await;
            return Ok(Prepared::Ready(Box::new(sequence)));
        }
        Err(Halt::Over(outcome, message)) => (outcome, message),
        Err(Halt::Later(error)) => return Err(error),
        Err(Halt::Unfit(message)) => {
            fault = Fault::Version;
            (Outcome::FailedUntouched, message)
        }
        Err(Halt::NoImage(kind, message)) => {
            trouble = Some(kind);
            if kind.condemns() {
                fault = Fault::Version;
            }
            let waits = kind.may_pass();
            let outcome = if waits {
                Outcome::Waiting
            } else {
                Outcome::FailedUntouched
            };
            (outcome, message)
        }
        Err(Halt::Held(message)) => {
            after_wait = Outcome::Quarantined;
            (Outcome::Waiting, message)
        }
        Err(Halt::NoCommit(message)) => {
            awaited = Awaited::Commit;
            (Outcome::Waiting, message)
        }
        Err(Halt::Wait {
            pause: soon,
            message,
        }) => {
            pause = Some(soon);
            (Outcome::Waiting, message)
        }
    };
    Ok(Prepared::Over(Box::new(Applied {
        fault,
        trouble,
        after_wait,
        awaited,
        pause,
        version: before.new_version,
        revision: Some(before.new),
        version_before: before.old_version,
        ..Applied::new(outcome, from, to, message)
    })))
}

/// What the preparations look at.
struct Ready<'a> {
    host: Host<'a>,
    job: &'a Job<'a>,
    parts: &'a Parts,
    known: &'a Known,
    shelf: &'a Shelf,
}

impl Ready<'_> {
    /// Finds out the rest of what is to be known before, and whether anything is against it.
    async fn look_through(
        &self,
        before: &mut Before,
        clock: &mut StepClock,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Option<Digest>, Halt> {
        let (parts, job) = (self.parts, self.job);
        if job.intent.image.is_some() && parts.compose.is_none() {
            let kind = parts.kind();
            return refuse(format!(
                "a {kind} service has no image, and the intent names one"
            ));
        }
        if let Some(version) = before
            .new_version
            .as_ref()
            .filter(|_| parts.compose.is_none())
        {
            admit(job, &self.known.quarantine, version)?;
        }
        let mut is_there = true;
        if let Some(tree) = Tree::of(parts, self.host) {
            let begun = Instant::now();
            let checked = self.fetch(tree, before, tell).await;
            clock.add("fetch", begun.elapsed());
            is_there = checked?;
        }
        let mut digest = None;
        if let (Some(compose), Some(engine)) = (&parts.compose, self.host.engine) {
            let planning = Planning {
                host: self.host,
                engine,
                job,
                parts,
                compose,
                state: self.shelf.state(),
                is_there,
            };
            digest = planning.plan(before, clock, tell).await?;
            if let Some(version) = &before.new_version {
                admit(job, &self.known.quarantine, version)?;
            }
        } else {
            self.is_new(is_there, before)?;
            before.was_healthy = look(self.host, job.service, parts, before).await?;
        }
        archive::plan(self.shelf, parts, before, Timestamp::now()).await?;
        Ok(digest)
    }

    /// Whether there is something to do for a service without containers; `is_there` is whether its checkout, if it has
    /// one, is at the commit.
    fn is_new(&self, is_there: bool, before: &Before) -> Result<(), Halt> {
        match &before.new_version {
            Some(version) if is_there && self.known.has_brought(version) => Err(unchanged(version)),
            _ => Ok(()),
        }
    }

    /// Has the commit here, and looks whether the checkout may be put at it; returns whether it is there already.
    async fn fetch(
        &self,
        tree: Tree<'_>,
        before: &mut Before,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<bool, Halt> {
        let Some(sha) = before.new.sha.clone() else {
            return refuse("a checkout is put at a commit, and the intent names none; say which one: --sha COMMIT".to_owned());
        };
        let version = VersionId::Commit(sha.clone());
        let look = tree.look().await?;
        let is_there = checkout::is_at(&look, &sha);
        if is_there && self.parts.compose.is_none() && self.known.has_brought(&version) {
            return Ok(true);
        }
        tree.fetch(&self.job.service.rule, self.job.intent, &sha)
            .await?;
        let at = tree.ready(&sha).await?;
        tell(Progress::Fetched { sha });
        checkout::note(before, self.parts, at);
        Ok(is_there)
    }
}

pub(super) fn refuse<T>(why: String) -> Result<T, Halt> {
    Err(Halt::Over(Outcome::Refused, why))
}

pub(super) fn unchanged(version: &VersionId) -> Halt {
    let message = format!("{} is in place already", version.short());
    Halt::Over(Outcome::Unchanged, message)
}

/// Whether the intent may try `version`, if that has failed here before.
pub(super) fn admit(
    job: &Job<'_>,
    quarantine: &[Quarantined],
    version: &VersionId,
) -> Result<(), Halt> {
    match admission(quarantine, job.intent, version) {
        Admission::Free => Ok(()),
        Admission::Later(failed) => Err(Halt::Held(held(failed, job))),
        Admission::Never(failed) => Err(Halt::Over(Outcome::Quarantined, held(failed, job))),
    }
}

/// Whether a service without containers passes its checks now. Refused when its commands cannot be run.
pub(super) async fn look(
    host: Host<'_>,
    service: &Service,
    parts: &Parts,
    before: &Before,
) -> Result<bool, Halt> {
    programs::can_run(host, parts, before).await?;
    let ground = Ground::of(parts);
    Ok(health::is_well_host(&ground.checked(&host), &service.health).await)
}
