//! Everything before the first touch: look, ask the registry, pull, verify, plan.

use std::time::Instant;

use serde_json::Value;
use towline_protocol::{Digest, Outcome, Side};

use super::{
    Applied, ApplyError, InspectError, Job, Progress, StepClock, container_name, inspect_service,
    keep_tag,
};
use crate::{
    docker::{Docker, EngineError, RegistryError},
    health,
    plan::{Naming, Observed, Plan, Target, plan, target},
    reference::Reference,
};

/// Where the preparations led.
pub(super) enum Prepared {
    /// To a plan, and the local tag that was made to keep the new image.
    Ready(Box<Plan>, Option<Reference>),
    /// To an outcome: there is nothing to do, or nothing can be done.
    Over(Box<Applied>),
}

impl Prepared {
    fn over(outcome: Outcome, from: Side, to: Side, message: String) -> Self {
        Self::Over(Box::new(Applied::new(outcome, from, to, message)))
    }
}

pub(super) async fn prepare(
    engine: &Docker,
    job: &Job<'_>,
    clock: &mut StepClock,
    tell: &mut dyn FnMut(Progress),
) -> Result<Prepared, ApplyError> {
    let to = Side {
        sha: job.intent.revision.sha.clone(),
        digest: None,
    };
    let observed = match inspect_service(engine, job.service).await {
        Ok(observed) => observed,
        Err(InspectError::Engine(error)) => return Err(error.into()),
        Err(InspectError::Refused(refused)) => {
            return Ok(Prepared::over(
                Outcome::Refused,
                Side::default(),
                to,
                refused.to_string(),
            ));
        }
    };
    let from = Side {
        sha: None,
        digest: observed.digest(),
    };
    let target = match target(job.service.image.as_ref(), job.intent, &observed) {
        Ok(target) => target,
        Err(refused) => {
            return Ok(Prepared::over(
                Outcome::Refused,
                from,
                to,
                refused.to_string(),
            ));
        }
    };

    let begun = Instant::now();
    let (digest, was_healthy) = tokio::join!(
        digest(engine, &target),
        health::is_well(engine, observed.id(), &job.service.health)
    );
    clock.add("resolve", begun.elapsed());
    let digest = match digest {
        Ok(digest) => digest,
        Err(error) => return no_image(error, from, to),
    };
    let to = Side {
        digest: Some(digest.clone()),
        ..to
    };
    if observed.has(&digest) {
        return Ok(Prepared::over(
            Outcome::Unchanged,
            from,
            to,
            unchanged(&observed, &digest),
        ));
    }

    let begun = Instant::now();
    let image = match fetch(engine, &target, &digest).await {
        Ok(image) => image,
        Err(error) => return no_image(error, from, to),
    };
    clock.add("pull", begun.elapsed());
    tell(Progress::Pulled {
        digest: digest.clone(),
    });
    if image.get("Id").and_then(Value::as_str) == Some(observed.image_id()) {
        return Ok(Prepared::over(
            Outcome::Unchanged,
            from,
            to,
            unchanged(&observed, &digest),
        ));
    }
    let kept = keep(engine, job, &observed, &image, &digest).await;
    let (keep, tagged) = match kept {
        Ok(_) if let Err(error) = &was_healthy => return Err(error.clone().into()),
        Ok(kept) => (kept, tag_of(engine, &target).await?),
        Err(error @ EngineError::Unreachable { .. }) => return Err(error.into()),
        Err(error) => {
            return Ok(Prepared::over(
                Outcome::FailedUntouched,
                from,
                to,
                error.to_string(),
            ));
        }
    };
    let naming = Naming {
        container: container_name(job.service),
        service: job.service.name.as_str(),
        deploy: &job.deploy,
        tagged: tagged.as_deref(),
        was_healthy: was_healthy.unwrap_or_default(),
    };
    match plan(&observed, &target, &digest, &image, naming, to.clone()) {
        Ok(plan) => Ok(Prepared::Ready(Box::new(plan), keep)),
        Err(mistake) => {
            forget(engine, keep).await;
            Ok(Prepared::over(
                Outcome::FailedUntouched,
                from,
                to,
                mistake.to_string(),
            ))
        }
    }
}

fn unchanged(observed: &Observed, digest: &Digest) -> String {
    let state = if observed.runs() {
        "runs"
    } else {
        "is stopped, and has"
    };
    format!("the container {state} {} already", digest.short())
}

/// The digest that the intent names, or that the tag has in the registry now.
async fn digest(engine: &Docker, target: &Target) -> Result<Digest, RegistryError> {
    match &target.digest {
        Some(digest) => Ok(digest.clone()),
        None => engine.resolve(&target.wanted).await,
    }
}

/// The image, pulled unless it is here.
async fn fetch(engine: &Docker, target: &Target, digest: &Digest) -> Result<Value, RegistryError> {
    let reference = target.at(digest);
    let local = || async {
        let image = engine.image(&reference.to_string()).await;
        image.map_err(|error| RegistryError::of(&reference, error))
    };
    if let Some(image) = local().await? {
        return Ok(image);
    }
    engine.pull(&reference).await?;
    let missing =
        || EngineError::Unexpected("the pull ended well, and the image is not there".to_owned());
    local()
        .await?
        .ok_or_else(|| RegistryError::of(&reference, missing()))
}

/// An image that could not be had: worth another try, unless it can never run here. A registry says "denied" of what
/// is not there yet, so that is waited for as well.
fn no_image(error: RegistryError, from: Side, to: Side) -> Result<Prepared, ApplyError> {
    if let EngineError::Unreachable { .. } = error.source {
        return Err(error.source.into());
    }
    let outcome = if error.trouble.may_pass() {
        Outcome::Waiting
    } else {
        Outcome::FailedUntouched
    };
    Ok(Prepared::over(outcome, from, to, error.to_string()))
}

/// Tags both images, so that no pruning takes them: the new one before it is in use, the old one after. Returns the
/// new one's tag, unless it was there before.
async fn keep(
    engine: &Docker,
    job: &Job<'_>,
    observed: &Observed,
    image: &Value,
    digest: &Digest,
) -> Result<Option<Reference>, EngineError> {
    let tag = |short: &str| {
        let odd = || EngineError::Unexpected(format!("no local tag can be made of {short:?}"));
        keep_tag(job.service, short).ok_or_else(odd)
    };
    let new = tag(digest.short())?;
    let id = image.get("Id").and_then(Value::as_str).unwrap_or_default();
    let old = match observed.digest() {
        Some(digest) => tag(digest.short())?,
        None => tag(observed
            .image_id()
            .trim_start_matches("sha256:")
            .get(..12)
            .unwrap_or_default())?,
    };
    let keep_old = async {
        match &observed.image {
            Some(_) => engine.tag(observed.image_id(), &old).await,
            None => Ok(()),
        }
    };
    let known = engine.image(&new.to_string()).await?.is_some();
    tokio::try_join!(engine.tag(id, &new), keep_old)?;
    Ok((!known).then_some(new))
}

/// Takes the new image's tag away after a failure: the image is not worth keeping. What cannot be untagged is only
/// kept longer.
pub(super) async fn forget(engine: &Docker, keep: Option<Reference>) {
    if let Some(tag) = keep {
        engine.untag(&tag).await.ok();
    }
}

/// The image that the operator's tag leads to now.
async fn tag_of(engine: &Docker, target: &Target) -> Result<Option<String>, EngineError> {
    let Some(tag) = target.tag() else {
        return Ok(None);
    };
    let image = engine.image(&tag.to_string()).await?;
    Ok(image.and_then(|image| Some(image.get("Id")?.as_str()?.to_owned())))
}
