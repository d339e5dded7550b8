//! Everything before the first touch of a service made of parts: what is refused, what is there, what it will be.

use towline_protocol::{Intent, Outcome, Sha, Side, Source};

use super::{
    super::{Applied, ApplyError, Job, StepClock, prepare::held},
    Host, command,
    ground::Ground,
};
use crate::{
    health,
    machine::Fault,
    select::{Admission, admission},
    sequence::{Before, Revision, Sequence},
    settings::Parts,
    store::{Quarantined, Running, Store, StoreError},
    version::VersionId,
};

/// How many of the last ends are looked through for one that says what is in place.
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
    quarantine: Vec<Quarantined>,
    /// What the last one that took effect has brought.
    running: Option<Running>,
    /// What was told of that.
    old: Revision,
    /// Whether an operator was needed since, so that nobody knows what is in place.
    is_unsure: bool,
}

impl Known {
    pub(super) fn of(store: &Store, job: &Job<'_>) -> Result<Self, StoreError> {
        let name = &job.service.name;
        let running = store.running(name)?;
        let intent = running.as_ref().and_then(|running| running.intent.clone());
        let intent = intent.map(|intent| store.intent(&intent)).transpose()?;
        let sha = running
            .as_ref()
            .and_then(|running| running.side.sha.clone());
        let told = intent.flatten().map(|intent| revision(&intent));
        let old = told.filter(|told| told.sha == sha).unwrap_or(Revision {
            sha,
            ..Revision::default()
        });
        let ends = store.history(Some(name), LOOKED_THROUGH)?;
        let ends = ends.iter().filter_map(|past| past.report.outcome);
        let last = ends.rev().find(|outcome| says_what_is_there(*outcome));
        Ok(Self {
            quarantine: store.barred(name, &job.intent.id)?,
            running,
            old,
            is_unsure: last == Some(Outcome::NeedsOperator),
        })
    }

    /// Whether the last deploy that took effect has brought `version`, as far as anybody knows.
    fn has_brought(&self, version: &VersionId) -> bool {
        let brought = self.running.as_ref().and_then(Running::version);
        !self.is_unsure && brought.as_ref() == Some(version)
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
enum Halt {
    /// It ends here, for this reason.
    Over(Outcome, String),
    /// The version failed here, and this intent may mean one that is still to come.
    Held(String),
}

pub(super) async fn prepare(
    host: Host<'_>,
    job: &Job<'_>,
    parts: &Parts,
    known: &Known,
    _clock: &mut StepClock,
) -> Result<Prepared, ApplyError> {
    let new = revision(job.intent);
    let mut before = Before {
        old: known.old.clone(),
        new_version: new.sha.clone().map(VersionId::Commit),
        old_version: known.running.as_ref().and_then(Running::version),
        new,
        ..Before::default()
    };
    let ready = ready(host, job, parts, known, &mut before).await;
    let (from, to) = (side(&before.old.sha), side(&before.new.sha));
    let (outcome, message) = match ready {
        Ok(()) => {
            let deploy = job.deploy.clone();
            let sequence = Sequence::new(deploy, parts.clone(), before, from, to);
            return Ok(Prepared::Ready(Box::new(sequence)));
        }
        Err(Halt::Over(outcome, message)) => (outcome, message),
        Err(Halt::Held(message)) => (Outcome::Waiting, message),
    };
    Ok(Prepared::Over(Box::new(Applied {
        fault: Fault::Host,
        after_wait: Outcome::Quarantined,
        version: before.new_version,
        version_before: before.old_version,
        ..Applied::new(outcome, from, to, message)
    })))
}

/// Finds out the rest of what is to be known before, and whether anything is against it.
async fn ready(
    host: Host<'_>,
    job: &Job<'_>,
    parts: &Parts,
    known: &Known,
    before: &mut Before,
) -> Result<(), Halt> {
    let refuse = |why: &str| Err(Halt::Over(Outcome::Refused, why.to_owned()));
    if job.intent.image.is_some() {
        return refuse(&format!(
            "a {} service has no image, and the intent names one",
            parts.kind()
        ));
    }
    if let Some(version) = &before.new_version {
        admit(job, &known.quarantine, version)?;
        if known.has_brought(version) {
            let message = format!("{} is in place already", version.short());
            return Err(Halt::Over(Outcome::Unchanged, message));
        }
    }
    can_run(host, parts).await?;
    let ground = Ground::of(parts);
    let checked = ground.checked(&host);
    before.was_healthy = health::is_well_host(&checked, &job.service.health).await;
    Ok(())
}

/// Whether the intent may try `version`, if that has failed here before.
fn admit(job: &Job<'_>, quarantine: &[Quarantined], version: &VersionId) -> Result<(), Halt> {
    match admission(quarantine, job.intent, version) {
        Admission::Free => Ok(()),
        Admission::Later(failed) => Err(Halt::Held(held(failed, job))),
        Admission::Never(failed) => Err(Halt::Over(Outcome::Quarantined, held(failed, job))),
    }
}

/// Whether all commands can be run, but for those that the checkout is to bring.
async fn can_run(host: Host<'_>, parts: &Parts) -> Result<(), Halt> {
    let Some(command) = &parts.command else {
        return Ok(());
    };
    let all = [
        ("stop", command.stop.as_ref()),
        ("run", Some(&command.run)),
        ("rollback", command.rollback.as_ref()),
        ("start", command.start.as_ref()),
    ];
    for (key, argv) in all {
        let Some(argv) = argv else { continue };
        let program = argv.first().map_or("", String::as_str);
        let is_brought = parts.git.is_some() && program.contains('/') && !program.starts_with('/');
        if is_brought {
            continue;
        }
        if let Some(why) = command::refusal(host, parts, argv).await {
            let message = format!("command.{key}: {why}");
            return Err(Halt::Over(Outcome::Refused, message));
        }
    }
    Ok(())
}

fn side(sha: &Option<Sha>) -> Side {
    Side {
        sha: sha.clone(),
        digest: None,
    }
}
