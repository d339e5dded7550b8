//! Everything before the first touch: look, ask the registry, pull, verify, look again, plan.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use towline_protocol::{Digest, Outcome, Side};

use super::{
    Applied, ApplyError, InspectError, Job, Progress, StepClock,
    inspect::{inspect_service, loses_label},
    keep::keep,
};
use crate::{
    docker::{Cause, Docker, EngineError, Layers, RegistryError, RegistryTrouble},
    health,
    machine::Fault,
    plan::{ImageMistake, Naming, Observed, Plan, Refusal, Target, plan, target},
    select::{Admission, admission},
    store::Quarantined,
};

/// How often the preparations begin, each time with the container that somebody has put in the place of the one before.
const ROUNDS: u32 = 3;

/// What the registry and the engine have for an intent, for the container of one look.
struct Asked {
    target: Target,
    digest: Digest,
    image: Value,
    was_healthy: bool,
}

/// Where the preparations led.
pub(super) enum Prepared {
    /// To a plan, whose images are kept, and what it is to replace.
    Ready(Box<Plan>, Box<Observed>),
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
enum Halt {
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
}

pub(super) async fn prepare(
    engine: &Docker,
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
            let observed = inspect_service(engine, job.service).await?;
            Ok::<_, Halt>(observed.brought(known.brought.clone()))
        };
        let mut observed = look().await?;
        for _ in 0..ROUNDS {
            from.digest = observed.digest();
            let target = target(job.service.image.as_ref(), job.intent, &observed)?;
            let digest = resolve(engine, &target, clock).await?;
            to.digest = Some(digest.clone());
            if observed.has(&digest) {
                return Err(unchanged(&observed, &digest));
            }
            admit(job, known.quarantine, &digest)?;
            let image = fetch(engine, &target, &digest, clock, tell).await?;
            if image.get("Id").and_then(Value::as_str) == Some(observed.image_id()) {
                return Err(unchanged(&observed, &digest));
            }
            let was_healthy = health::is_well(engine, observed.id(), &job.service.health).await?;
            // A pull may take hours, in which the container may be stopped, changed, or given dependents.
            let now = look().await?;
            if now.id() == observed.id() {
                let asked = Asked {
                    target,
                    digest,
                    image,
                    was_healthy,
                };
                return planned(engine, job, now, &asked, to.clone()).await;
            }
            observed = now;
        }
        Err(replaced_again_and_again(&observed))
    };
    match ready.await {
        Ok(ready) => Ok(ready),
        Err(Halt::Later(error)) => Err(error),
        Err(Halt::Over(outcome, message)) => {
            let applied = Applied::new(outcome, from, to, message);
            Ok(Prepared::Over(Box::new(applied)))
        }
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

/// The plan for the container as it is now, with both images kept.
async fn planned(
    engine: &Docker,
    job: &Job<'_>,
    observed: Observed,
    asked: &Asked,
    to: Side,
) -> Result<Prepared, Halt> {
    let tagged = tag_of(engine, &asked.target).await?;
    let naming = Naming {
        container: observed.name(),
        service: job.service.name.as_str(),
        deploy: &job.deploy,
        tagged: tagged.as_deref(),
        was_healthy: asked.was_healthy,
        now: Timestamp::now(),
    };
    let Asked {
        target,
        digest,
        image,
        ..
    } = asked;
    let mut plan = plan(&observed, target, digest, image, naming, to)?;
    if let Some(refused) = loses_label(job.service, &plan.create, image) {
        return Err(refused.into());
    }
    let kept = keep(engine, job.service, &observed, &plan.image, digest).await?;
    plan.deploy.kept = Some(kept);
    Ok(Prepared::Ready(Box::new(plan), Box::new(observed)))
}

fn replaced_again_and_again(observed: &Observed) -> Halt {
    let message = format!(
        "something else puts another container in the place of {} again and again; stop that first",
        observed.name()
    );
    Halt::Over(Outcome::FailedUntouched, message)
}

/// Whether the intent may try `digest`, if that has failed here before.
fn admit(job: &Job<'_>, quarantine: &[Quarantined], digest: &Digest) -> Result<(), Halt> {
    match admission(quarantine, job.intent, digest) {
        Admission::Free => Ok(()),
        Admission::Later(failed) => Err(Halt::Held(format!(
            "another commit is asked for, and the image's name still leads to {}",
            told(failed, job)
        ))),
        Admission::Never(failed) => Err(Halt::Over(Outcome::Quarantined, told(failed, job))),
    }
}

fn told(failed: &Quarantined, job: &Job<'_>) -> String {
    let did = if failed.on_purpose {
        "was taken back"
    } else {
        "failed"
    };
    format!(
        "{}, which {did} here at {:.0} (`towline retry {}` tries it again): {}",
        failed.digest.short(),
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

fn unchanged(observed: &Observed, digest: &Digest) -> Halt {
    let state = if observed.runs() {
        "runs"
    } else {
        "is stopped, and has"
    };
    let message = format!("the container {state} {} already", digest.short());
    Halt::Over(Outcome::Unchanged, message)
}

/// The digest that the intent names, or that the tag has in the registry now.
async fn resolve(
    engine: &Docker,
    target: &Target,
    clock: &mut StepClock,
) -> Result<Digest, RegistryError> {
    let begun = Instant::now();
    let digest = match &target.digest {
        Some(digest) => Ok(digest.clone()),
        None => engine.resolve(&target.wanted).await,
    };
    clock.add("resolve", begun.elapsed());
    digest
}

/// The image, pulled unless it is here.
async fn fetch(
    engine: &Docker,
    target: &Target,
    digest: &Digest,
    clock: &mut StepClock,
    tell: &mut dyn FnMut(Progress),
) -> Result<Value, Halt> {
    let begun = Instant::now();
    let reference = target.at(digest);
    let name = reference.to_string();
    let mut layers = Layers::default();
    let image = match engine.image(&name).await? {
        Some(image) => Some(image),
        None => {
            let mut pulling = |so_far: &Layers| {
                layers.clone_from(so_far);
                tell(Progress::Pulling(so_far.clone()));
            };
            engine.pull(&reference, &mut pulling).await?;
            engine.image(&name).await?
        }
    };
    clock.add("pull", begun.elapsed());
    let image = image.ok_or_else(|| {
        let message = format!("{name}: the pull ended well, and the image is not there");
        Halt::Over(Outcome::FailedUntouched, message)
    })?;
    let digest = digest.clone();
    tell(Progress::Pulled { digest, layers });
    Ok(image)
}

/// The image that the operator's tag leads to now.
async fn tag_of(engine: &Docker, target: &Target) -> Result<Option<String>, EngineError> {
    let Some(tag) = target.tag() else {
        return Ok(None);
    };
    let image = engine.image(&tag.to_string()).await?;
    Ok(image.and_then(|image| Some(image.get("Id")?.as_str()?.to_owned())))
}

#[cfg(test)]
mod tests;
