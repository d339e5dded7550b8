//! Everything before the first touch of a service made of parts: what is refused, what is there, what it will be. A plan goes
//! the same way, pulls and checks nothing, and fetches into a folder aside alone.

use std::{path::Path, time::Instant};

use jiff::Timestamp;
use towline_protocol::{Digest, Outcome, Side};

use super::{
    super::{Applied, ApplyError, Job, Progress, StepClock, hooks::hooks_refusal, prepare::held},
    Host, archive,
    checkout::{self, Tree},
    ground::Ground,
    halt::{Halt, refuse},
    hooks,
    known::{Known, revision},
    programs,
    project::Planning,
    scratch::Scratch,
};
use crate::{
    backup::Shelf,
    compose::Pulled,
    git, health,
    machine::Fault,
    select::{Admission, admission},
    sequence::{Before, Checkout, Sequence},
    settings::{Parts, Service},
    store::Quarantined,
    uptime::Awaited,
    version::VersionId,
};

/// Where the preparations led.
pub(super) enum Prepared {
    /// To a deploy that can begin.
    Ready(Box<Sequence>),
    /// To an outcome: there is nothing to do, or nothing can be done.
    Over(Box<Applied>),
}

/// How far the preparations go.
pub(super) enum Way<'w> {
    /// To a deploy: what it needs is fetched, pulled and kept, and how well the service is is seen by its checks.
    Deploy {
        /// Counts how long that takes.
        clock: &'w mut StepClock,
        /// Hears of it.
        tell: &'w mut dyn FnMut(Progress),
    },
    /// To a plan: it is only looked for what there is, and the service is taken to be well.
    Plan(&'w mut Seen),
}

/// What was seen on the way to a plan.
#[derive(Default)]
pub(super) struct Seen {
    /// What is known of the commit and the checkout, of a service that has one.
    pub(super) fetch: Option<git::Foreseen>,
    /// The images of a Compose project; `None` without one, or while its commit is not here.
    pub(super) images: Option<Vec<Pulled>>,
    /// How many bytes the backup would take at most; `None` without one.
    pub(super) backup: Option<u64>,
}

impl Way<'_> {
    pub(super) fn is_deploy(&self) -> bool {
        matches!(self, Self::Deploy { .. })
    }

    /// The step has taken as long as since `begun`.
    pub(super) fn took(&mut self, step: &str, begun: Instant) {
        if let Self::Deploy { clock, .. } = self {
            clock.add(step, begun.elapsed());
        }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        if let Self::Deploy { tell, .. } = self {
            tell(progress);
        }
    }

    /// Whether the files of the commit are here to be looked at.
    fn has_commit(&self) -> bool {
        match self {
            Self::Deploy { .. } => true,
            Self::Plan(seen) => seen.fetch.as_ref().is_none_or(|fetch| fetch.is_here),
        }
    }
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
    let fresh = || {
        let new = revision(job.intent);
        let new_version = new.sha.clone().map(VersionId::Commit);
        known.before(job.service, new, new_version)
    };
    let mut before = fresh();
    let with = Ready {
        host,
        job,
        parts,
        known,
        shelf,
        state: shelf.state(),
    };
    let mut way = Way::Deploy { clock, tell };
    let mut ready = with.look_through(&mut before, &mut way).await;
    if let (Ok(_), Some(hook)) = (&ready, &job.service.hooks.before) {
        let (from, to) = (known.from(&before), Side::default());
        let sequence = Sequence::new(job.deploy.clone(), parts.clone(), before, from, to);
        let called = hooks::before(&with, hook, &sequence).await;
        before = sequence.before;
        ready = match called {
            // It may have taken its time, and what it had to do: what was seen counts no more.
            Ok(()) => {
                before = fresh();
                with.look_through(&mut before, &mut way).await
            }
            Err(halt) => Err(halt),
        };
    }
    let ready = ready.map_err(|halt| halt.without(&Ground::of(parts).secrets));
    let from = known.from(&before);
    let mut to = Side {
        sha: before.new.sha.clone(),
        digest: None,
    };
    let (mut pause, mut after_wait) = (None, Outcome::FailedUntouched);
    let (mut fault, mut trouble) = (Fault::Host, None);
    let (mut awaited, mut placed) = (Awaited::Image, None);
    let mut log_tail = String::new();
    let (outcome, message) = match ready {
        Ok(digest) => {
            to.digest = digest;
            let deploy = job.deploy.clone();
            let mut sequence = Sequence::new(deploy, parts.clone(), before, from, to);
            programs::fit_way_back(host, &mut sequence).await;
            return Ok(Prepared::Ready(Box::new(sequence)));
        }
        Err(Halt::Over(outcome, message)) => (outcome, message),
        Err(Halt::InPlace(what, message)) => {
            placed = Some(what);
            (Outcome::Unchanged, message)
        }
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
        Err(Halt::Hook(stopped)) => {
            (pause, log_tail) = (stopped.pause, stopped.log.clone());
            (stopped.outcome(), stopped.message)
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
        placed,
        log_tail,
        version_before: before.old_version,
        ..Applied::new(outcome, from, to, message)
    })))
}

/// What the preparations look at.
pub(super) struct Ready<'a> {
    pub(super) host: Host<'a>,
    pub(super) job: &'a Job<'a>,
    pub(super) parts: &'a Parts,
    pub(super) known: &'a Known,
    pub(super) shelf: &'a Shelf,
    /// Where a note of what is to be swept away may lie: the state directory, or a copy of it.
    pub(super) state: &'a Path,
}

impl Ready<'_> {
    /// Finds out the rest of what is to be known before, and whether anything is against it. Returns the digest, of a project
    /// with one.
    pub(super) async fn look_through(
        &self,
        before: &mut Before,
        way: &mut Way<'_>,
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
            let checked = self.fetch(tree, before, way).await;
            way.took("fetch", begun);
            is_there = checked?;
        }
        let mut digest = None;
        if let (Some(compose), Some(engine)) = (&parts.compose, self.host.engine) {
            let planning = Planning {
                host: self.host,
                engine,
                service: job.service,
                deploy: &job.deploy,
                parts,
                compose,
                state: self.state,
                is_there,
                known: Some(self.known),
            };
            if way.has_commit() {
                digest = planning.plan(job.intent, before, way).await?;
            }
            if let Some(version) = &before.new_version {
                admit(job, &self.known.quarantine, version)?;
            }
        } else {
            self.is_new(is_there, before)?;
            before.was_healthy = look(self.host, job.service, parts, before, way).await?;
        }
        if let Some(why) = hooks_refusal(self.host.launcher, job.service).await {
            return refuse(why);
        }
        if let (Some(sha), true) = (&before.new.sha, way.has_commit()) {
            let after = job.service.hooks.after.as_ref();
            hooks::has_after(self.host, parts, after, sha).await?;
        }
        self.back_up(before, way).await?;
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

    /// Has the commit here, or looks where it is, and whether the checkout may be put at it; returns whether it is there
    /// already.
    async fn fetch(
        &self,
        tree: Tree<'_>,
        before: &mut Before,
        way: &mut Way<'_>,
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
        let (rule, intent) = (&self.job.service.rule, self.job.intent);
        let at = match way {
            Way::Deploy { tell, .. } => {
                tree.fetch(rule, intent, &sha).await?;
                let at = tree.ready(&sha).await?;
                tell(Progress::Fetched { sha });
                at
            }
            Way::Plan(seen) => {
                let mut fetch = tree.foresee(rule, intent, &sha).await?;
                if !fetch.is_on_branch {
                    let scratch = self.scratch()?;
                    fetch.is_on_branch = tree.seek(rule, intent, &sha, &scratch).await?;
                }
                let at = Checkout {
                    commit: fetch.at.commit.clone(),
                    branch: fetch.at.branch.clone(),
                };
                seen.fetch = Some(fetch);
                at
            }
        };
        checkout::note(before, self.parts, at);
        Ok(is_there)
    }

    /// A folder aside, for as long as it is held.
    fn scratch(&self) -> Result<Scratch, Halt> {
        let user = self.parts.user.as_deref();
        // Several plans may be made at a time.
        let name = format!("{}-{}", self.job.deploy, std::process::id());
        let scratch = Scratch::new(self.state, &name, user);
        scratch.map_err(|why| Halt::Over(Outcome::FailedUntouched, why))
    }

    /// Looks whether the backup can be made, and for a plan how large it may be.
    async fn back_up(&self, before: &mut Before, way: &mut Way<'_>) -> Result<(), Halt> {
        let now = Timestamp::now();
        match way {
            Way::Deploy { .. } => archive::plan(self.shelf, self.parts, before, now).await,
            Way::Plan(seen) => {
                seen.backup = archive::foresee(self.shelf, self.parts, before, now).await?;
                Ok(())
            }
        }
    }
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
    way: &Way<'_>,
) -> Result<bool, Halt> {
    programs::can_run(host, parts, before).await?;
    if !way.is_deploy() {
        return Ok(true);
    }
    let ground = Ground::of(parts);
    Ok(health::is_well_host(&ground.checked(&host), &service.health).await)
}
