//! Everything before the first touch: look, ask the registry, pull, verify, look again, plan.

use jiff::Timestamp;
use serde_json::Value;
use towline_protocol::{Digest, Outcome, Side};

use super::{
    Applied, ApplyError, InspectError, Job, Progress, StepClock,
    group::{looked_after, notes},
    hooks::{Calling, Stopped, Which, call, hooks_refusal, plain_order, variables},
    image::{Fetched, fetch, id, resolve, tag_of},
    inspect::{inspect_service, useless},
    keep::keep,
    way::{Replacement, way_of},
};
use crate::{
    docker::{Cause, Docker, EngineError, RegistryError, RegistryTrouble},
    health,
    machine::Fault,
    plan::{
        ImageMistake, Naming, Observed, Plan, Refusal, digest_of, gone, has_already, joined, named,
        plan, rolled, strayed, target, targets,
    },
    process::Launcher,
    redact::Secrets,
    reference::Reference,
    select::{Admission, admission},
    sequence::About,
    settings::Hook,
    store::Quarantined,
    version::VersionId,
};

/// How often the preparations begin: again when somebody has put another container in the place of the one before, or
/// has pruned what was pulled.
const ROUNDS: u32 = 3;

const PRUNED: &str = "the new image was removed again and again right after its pull; does something prune images all the time?";

/// What the registry and the engine have for an intent, for the containers of one look.
struct Asked {
    digest: Digest,
    image: Value,
    /// Whether each passed the service's checks.
    well: Vec<bool>,
}

impl Asked {
    fn is_there(&self, observed: &Observed) -> bool {
        has_already(observed, &self.digest, Some(&self.image))
    }
}

/// Where the preparations led.
pub(super) enum Prepared {
    /// To a plan, whose images are kept, and what it is to replace.
    Ready(Box<Plan>, Vec<Observed>),
    /// To an outcome: there is nothing to do, or nothing can be done.
    Over(Box<Applied>),
}

/// What is known of the service from earlier deploys.
pub(super) struct Known<'a> {
    /// What is not to be tried.
    pub(super) quarantine: &'a [Quarantined],
    /// The digest that the last one to take effect has brought.
    pub(super) brought: Option<Digest>,
}

/// Why there will be no plan.
pub(super) enum Halt {
    /// Nothing is known yet; the intent stays.
    Later(ApplyError),
    /// It ends here, for this reason.
    Over(Outcome, String),
    /// The version can never run here, for this reason.
    Unfit(String),
    /// The version failed here, and this intent may mean one that is still to come.
    Held(String),
    /// The image could not be had, for this reason.
    NoImage(RegistryTrouble, String),
    /// The hook before it is against it.
    Hook(Box<Stopped>),
}

pub(super) async fn prepare(
    engine: &Docker,
    launcher: &Launcher,
    job: &Job<'_>,
    known: &Known<'_>,
    clock: &mut StepClock,
    tell: &mut dyn FnMut(Progress),
) -> Result<Prepared, ApplyError> {
    let mut from = Side::default();
    let mut to = Side {
        sha: job.intent.revision.sha.clone(),
        digest: None,
    };
    let ready = async {
        let look = async || {
            let found = inspect_service(engine, job.service).await?;
            let brought = |one: Observed| one.brought(known.brought.clone());
            Ok::<_, Halt>(found.into_iter().map(brought).collect::<Vec<_>>())
        };
        let mut found = look().await?;
        let mut in_the_way = String::new();
        let mut hook = job.service.hooks.before.as_ref();
        for _ in 0..ROUNDS {
            from.digest = digest_of(&found);
            let targets = targets(job.service.image.as_ref(), job.intent, &found)?;
            let Some(target) = targets.first() else { break };
            if let Some(refused) = found.iter().find_map(|one| strayed(one, target.tag())) {
                return Err(refused.into());
            }
            let digest = resolve(engine, target, clock).await?;
            to.digest = Some(digest.clone());
            if found.iter().all(|one| one.has(&digest)) {
                return Err(unchanged(&found, &digest));
            }
            admit(job, known.quarantine, &digest)?;
            let Fetched { image, is_new } = fetch(engine, target, &digest, clock, tell).await?;
            let mut asked = Asked {
                digest,
                image,
                well: Vec::new(),
            };
            if found.iter().all(|one| asked.is_there(one)) {
                return Err(unchanged(&found, &asked.digest));
            }
            // A pull may take hours, in which a container may be stopped, changed, or given dependents.
            let (well, now) = tokio::join!(are_well(engine, job, &found), look());
            let now = now?;
            asked.well = well?;
            if are_same(&now, &found) {
                let planned = planned(engine, launcher, job, now, &asked, to.clone()).await;
                let is_no_good =
                    |halt: &Halt| matches!(halt, Halt::Unfit(_) | Halt::Over(Outcome::Refused, _));
                if is_new && planned.as_ref().is_err_and(is_no_good) {
                    // What the engine does not let go only takes room.
                    let image = id(&asked.image).unwrap_or_default();
                    engine.remove_unnamed(image).await.ok();
                }
                let planned = planned?;
                if let Some(why) = hooks_refusal(launcher, job.service).await {
                    return Err(Halt::Over(Outcome::Refused, why));
                }
                match (planned, hook.take()) {
                    (Some(planned), None) => return Ok(planned),
                    (Some(planned), Some(hook)) => {
                        before(engine, launcher, job, hook, &planned).await?;
                        let was_made = matches!(&planned, Prepared::Ready(plan, _) if plan.deploy.kept.as_ref().is_some_and(|kept| kept.made));
                        // It may have taken its time, and what it had to do.
                        let (well, now) = tokio::join!(are_well(engine, job, &found), look());
                        let now = now?;
                        asked.well = well?;
                        if are_same(&now, &found) {
                            in_the_way = PRUNED.to_owned();
                            let planned =
                                self::planned(engine, launcher, job, now, &asked, to.clone());
                            if let Some(mut planned) = planned.await? {
                                if let Prepared::Ready(plan, _) = &mut planned
                                    && let Some(kept) = &mut plan.deploy.kept
                                {
                                    kept.made |= was_made;
                                }
                                return Ok(planned);
                            }
                        } else {
                            // It is asked once for a deploy, whichever container that replaces.
                            in_the_way = replaced_again_and_again(&now);
                        }
                    }
                    (None, _) => in_the_way = PRUNED.to_owned(),
                }
                found = look().await?;
            } else {
                in_the_way = replaced_again_and_again(&now);
                found = now;
            }
        }
        Err(Halt::Over(Outcome::FailedUntouched, in_the_way))
    };
    match ready.await {
        Ok(ready) => Ok(ready),
        Err(Halt::Later(error)) => Err(error),
        Err(Halt::Over(outcome, message)) => {
            let applied = Applied::new(outcome, from, to, message);
            Ok(Prepared::Over(Box::new(applied)))
        }
        Err(Halt::Hook(stopped)) => Ok(Prepared::Over(Box::new(stopped.applied(from, to)))),
        Err(Halt::Unfit(message)) => Ok(Prepared::Over(Box::new(Applied {
            fault: Fault::Version,
            ..Applied::new(Outcome::FailedUntouched, from, to, message)
        }))),
        Err(Halt::Held(message)) => Ok(Prepared::Over(Box::new(Applied {
            after_wait: Outcome::Quarantined,
            ..Applied::new(Outcome::Waiting, from, to, message)
        }))),
        Err(Halt::NoImage(trouble, message)) => {
            let outcome = if trouble.may_pass() {
                Outcome::Waiting
            } else {
                Outcome::FailedUntouched
            };
            let fault = if trouble.condemns() {
                Fault::Version
            } else {
                Fault::Host
            };
            Ok(Prepared::Over(Box::new(Applied {
                fault,
                trouble: Some(trouble),
                ..Applied::new(outcome, from, to, message)
            })))
        }
    }
}

/// Whether each of the containers passes the service's checks.
async fn are_well(
    engine: &Docker,
    job: &Job<'_>,
    found: &[Observed],
) -> Result<Vec<bool>, EngineError> {
    let each = found
        .iter()
        .map(|one| health::is_well(engine, one.id(), &job.service.health));
    futures_util::future::try_join_all(each).await
}

/// Whether two looks have found the same containers.
fn are_same(now: &[Observed], before: &[Observed]) -> bool {
    now.iter()
        .map(Observed::id)
        .eq(before.iter().map(Observed::id))
}

/// The plan for the containers as they are now, but for those that have the new image already, with all images kept; `None`
/// when the new one, which had no name yet, was pruned right after its pull.
async fn planned(
    engine: &Docker,
    launcher: &Launcher,
    job: &Job<'_>,
    found: Vec<Observed>,
    asked: &Asked,
    to: Side,
) -> Result<Option<Prepared>, Halt> {
    let is_one_of_several = found.len() > 1;
    let (mut replaced, mut plans, mut there) = (Vec::new(), Vec::new(), Vec::new());
    let mut ways = Vec::new();
    for (observed, was_healthy) in found.into_iter().zip(&asked.well) {
        if asked.is_there(&observed) {
            there.push(observed);
            continue;
        }
        let plan = planned_one(engine, job, &observed, asked, *was_healthy, &to).await?;
        let refused = plan.create.first().and_then(|(create, _)| {
            let refused = useless(job.service, create, &asked.image)?;
            Some(refused.of(observed.name(), is_one_of_several))
        });
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        let made = plan.create.first();
        let replacement = Replacement {
            observed: &observed,
            model: None,
            made: made.map(|(create, _)| (create, &asked.image)),
            is_one_of_several,
        };
        ways.push(way_of(job.service, &replacement)?);
        plans.push(plan);
        replaced.push(observed);
    }
    let Some(mut plan) = joined(plans) else {
        return Err(unchanged(&there, &asked.digest));
    };
    plan.deploy = gone(rolled(plan.deploy, job.service.work.rolling()), ways);
    plan.deploy.notes.extend(already(&there));
    plan.deploy
        .notes
        .extend(notes(engine, launcher, &plan).await);
    let kept = keep(engine, job.service, &replaced, &plan.image, &asked.digest).await;
    plan.deploy.kept = match kept {
        Ok(kept) => Some(kept),
        Err(EngineError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Prepared::Ready(Box::new(plan), replaced)))
}

async fn planned_one(
    engine: &Docker,
    job: &Job<'_>,
    observed: &Observed,
    asked: &Asked,
    was_healthy: bool,
    to: &Side,
) -> Result<Plan, Halt> {
    let target = target(job.service.image.as_ref(), job.intent, observed)?;
    if let Some(refused) = strayed(observed, target.tag()) {
        return Err(refused.into());
    }
    let observed = &looked_after(engine, observed).await?;
    let tagged = tag_of(engine, &target).await?;
    let naming = Naming {
        container: observed.name(),
        service: job.service.name.as_str(),
        deploy: &job.deploy,
        tagged: tagged.as_deref(),
        was_healthy,
        now: Timestamp::now(),
    };
    let (digest, image) = (&asked.digest, &asked.image);
    Ok(plan(observed, &target, digest, image, naming, to.clone())?)
}

/// What is told of containers that are left as they are.
pub(super) fn already(there: &[Observed]) -> Option<String> {
    let have = match there {
        [] => return None,
        [_] => "has",
        _ => "have",
    };
    Some(format!("{} {have} it already", named(there)))
}

/// Calls the hook that may keep a deploy from being begun, once nothing else is known to be against it.
async fn before(
    engine: &Docker,
    launcher: &Launcher,
    job: &Job<'_>,
    hook: &Hook,
    planned: &Prepared,
) -> Result<(), Halt> {
    let Prepared::Ready(plan, replaced) = planned else {
        return Ok(());
    };
    let service = &job.service.name;
    let about = About {
        service,
        channel: Some(&job.intent.channel),
        intent: &job.intent.id,
        attempt: job.attempt,
    };
    let (which, deploy) = (Which::Before, &plan.deploy);
    let variables = variables(about, which, &deploy.deploy, &deploy.from, &deploy.to);
    let mut secrets = Secrets::default();
    for observed in replaced {
        secrets.add_environment(&observed.container);
    }
    let runs = replaced.iter().find(|observed| observed.runs());
    let calling = Calling {
        engine: Some(engine),
        launcher,
        service,
        order: plain_order(variables),
        container: runs.map(|observed| observed.id().to_owned()),
        secrets,
    };
    let Some(stopped) = Stopped::by(call(&calling, which, hook).await?) else {
        return Ok(());
    };
    if let (Some(kept), None) = (&deploy.kept, stopped.pause)
        && let (true, Ok(tag)) = (kept.made, kept.new.parse::<Reference>())
        && engine.untag(&tag).await.is_ok()
    {
        // Nobody asks for it any more; what the engine does not let go only takes room.
        engine.remove_unnamed(&plan.image).await.ok();
    }
    Err(Halt::Hook(Box::new(stopped)))
}

fn replaced_again_and_again(found: &[Observed]) -> String {
    format!(
        "something else puts another container in the place of {} again and again; stop that first",
        named(found)
    )
}

/// Whether the intent may try `digest`, if that has failed here before.
pub(super) fn admit(
    job: &Job<'_>,
    quarantine: &[Quarantined],
    digest: &Digest,
) -> Result<(), Halt> {
    match admission(quarantine, job.intent, &VersionId::Digest(digest.clone())) {
        Admission::Free => Ok(()),
        Admission::Later(failed) => Err(Halt::Held(format!(
            "another commit is asked for, and the image's name still leads to {}",
            held(failed, job)
        ))),
        Admission::Never(failed) => Err(Halt::Over(Outcome::Quarantined, held(failed, job))),
    }
}

/// What is told of a version that is in quarantine.
pub(crate) fn held(failed: &Quarantined, job: &Job<'_>) -> String {
    let did = if failed.on_purpose {
        "was taken back"
    } else {
        "failed"
    };
    format!(
        "{}, which {did} here at {:.0} (`towline retry {}` tries it again): {}",
        failed.version.short(),
        failed.since,
        job.service.name,
        failed.why
    )
}

impl From<InspectError> for Halt {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Engine(error) => error.into(),
            InspectError::Refused(refused) => refused.into(),
        }
    }
}

impl From<Refusal> for Halt {
    fn from(refused: Refusal) -> Self {
        Self::Over(Outcome::Refused, refused.to_string())
    }
}

impl From<ImageMistake> for Halt {
    fn from(mistake: ImageMistake) -> Self {
        let message = mistake.to_string();
        match mistake {
            ImageMistake::Digest(_) | ImageMistake::Platform { .. } => Self::Unfit(message),
            ImageMistake::Spec(_) => Self::Over(Outcome::FailedUntouched, message),
        }
    }
}

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        match error {
            lost if lost.is_loss() => Self::Later(lost.into()),
            refused => Self::Over(Outcome::FailedUntouched, refused.to_string()),
        }
    }
}

/// An image that could not be had is worth another try, unless it can never run here. A registry says "denied" of what
/// is not there yet, so that is waited for as well.
impl From<RegistryError> for Halt {
    fn from(error: RegistryError) -> Self {
        let message = error.to_string();
        if let Cause::Engine(lost @ EngineError::Unreachable { .. }) = error.cause {
            return Self::Later(lost.into());
        }
        Self::NoImage(error.trouble, message)
    }
}

pub(super) fn unchanged(found: &[Observed], digest: &Digest) -> Halt {
    let short = digest.short();
    let message = match found {
        [only] if only.runs() => format!("the container runs {short} already"),
        [_] => format!("the container is stopped, and has {short} already"),
        several => format!("{} have {short} already", named(several)),
    };
    Halt::Over(Outcome::Unchanged, message)
}

#[cfg(test)]
mod tests;
