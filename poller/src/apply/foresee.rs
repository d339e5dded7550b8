//! What a deploy of a container would do, found out without doing any of it: no pull, no record, no check of its health. What
//! would be refused is refused in the same words.

use jiff::Timestamp;
use serde_json::Value;
use towline_protocol::{Digest, Outcome, Side};

use super::{
    Job, StepClock,
    hooks::hooks_refusal,
    image::{id, resolve, tag_of},
    inspect::{inspect_service, useless},
    prepare::{Halt, admit, already, unchanged},
    way::{Replacement, way_of},
};
use crate::{
    docker::Docker,
    machine::Deploy,
    plan::{Naming, as_one, foreseen, gone, has_already, plan, rolled, strayed, targets},
    process::Launcher,
    reference::Reference,
    store::{Store, StoreError},
};

/// What a deploy would do; `A` is what is known of one that would begin.
#[derive(Clone, Debug)]
pub enum Foreseen<A> {
    /// It would begin, with nothing known to be against it.
    Begins(Box<A>),
    /// It would end or wait without touching anything, for this reason.
    Ends(Outcome, String),
}

/// What is known of a container's deploy that would begin.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// The deploy at its beginning. The old container is taken to pass its checks.
    pub deploy: Deploy,
    /// What the registry is asked for.
    pub wanted: Reference,
    /// The digest of the new image.
    pub digest: Digest,
    /// Whether the image is here already. Whether one that is not can run here is not known yet.
    pub is_here: bool,
}

/// Finds out what applying `job` would do. `store` is only read.
///
/// # Errors
/// When the state cannot be read.
pub async fn foresee(
    engine: &Docker,
    launcher: &Launcher,
    store: &Store,
    job: &Job<'_>,
) -> Result<Foreseen<Ahead>, StoreError> {
    let name = &job.service.name;
    let quarantine = store.barred(name, &job.intent.id)?;
    let brought = store.running(name)?;
    let brought = brought.and_then(|running| running.side.digest);
    let ahead = async {
        let found = inspect_service(engine, job.service).await?;
        let found = found.into_iter().map(|one| one.brought(brought.clone()));
        let found: Vec<_> = found.collect();
        let targets = targets(job.service.image.as_ref(), job.intent, &found)?;
        let Some(first) = targets.first() else {
            let why = "there is no container".to_owned();
            return Err(Halt::Over(Outcome::Refused, why));
        };
        let digest = resolve(engine, first, &mut StepClock::default()).await?;
        let is_there = |image: Option<&Value>| {
            let (there, replaced): (Vec<_>, Vec<_>) = found
                .iter()
                .cloned()
                .partition(|one| has_already(one, &digest, image));
            match replaced.is_empty() {
                true => Err(unchanged(&there, &digest)),
                false => Ok(there),
            }
        };
        is_there(None)?;
        admit(job, &quarantine, &digest)?;
        let image = engine.image(&first.at(&digest).to_string()).await?;
        let image = image.as_ref();
        let there = is_there(image)?;
        let to = Side {
            sha: job.intent.revision.sha.clone(),
            digest: Some(digest.clone()),
        };
        let (mut deploys, mut ways) = (Vec::new(), Vec::new());
        for (observed, target) in found.iter().zip(&targets) {
            if has_already(observed, &digest, image) {
                continue;
            }
            if let Some(refused) = strayed(observed, target.tag()) {
                return Err(refused.into());
            }
            let tagged = tag_of(engine, target).await?;
            let naming = Naming {
                container: observed.name(),
                service: name.as_str(),
                deploy: &job.deploy,
                tagged: tagged.as_deref(),
                was_healthy: true,
                now: Timestamp::now(),
            };
            let mut made = None;
            if let Some(image) = image {
                let plan = plan(observed, target, &digest, image, naming, to.clone())?;
                let own = plan.create.first().map(|(create, _)| create);
                if let Some(refused) = own.and_then(|create| useless(job.service, create, image)) {
                    return Err(refused.of(observed.name(), found.len() > 1).into());
                }
                let first = plan.create.into_iter().next();
                made = first.map(|(create, _)| (create, image));
            }
            let replacement = Replacement {
                observed,
                model: None,
                made: made.as_ref().map(|(create, image)| (create, *image)),
                is_one_of_several: found.len() > 1,
            };
            ways.push(way_of(job.service, &replacement)?);
            let image_id = image.and_then(id);
            deploys.push(foreseen(observed, target, image_id, naming, to.clone()));
        }
        let Some(mut deploy) = as_one(deploys) else {
            return Err(unchanged(&there, &digest));
        };
        deploy = gone(rolled(deploy, job.service.work.rolling()), ways);
        deploy.notes.extend(already(&there));
        if let Some(why) = hooks_refusal(launcher, job.service).await {
            return Err(Halt::Over(Outcome::Refused, why));
        }
        Ok(Ahead {
            deploy,
            wanted: first.wanted.clone(),
            is_here: image.is_some(),
            digest,
        })
    };
    Ok(match ahead.await {
        Ok(ahead) => Foreseen::Begins(Box::new(ahead)),
        Err(halt) => {
            let (outcome, message) = halt.foreseen();
            Foreseen::Ends(outcome, message)
        }
    })
}

impl Halt {
    /// How a deploy that halts so would end, and why.
    fn foreseen(self) -> (Outcome, String) {
        match self {
            Self::Later(error) => (Outcome::Waiting, error.to_string()),
            Self::Over(outcome, message) => (outcome, message),
            Self::Unfit(message) => (Outcome::FailedUntouched, message),
            Self::Held(message) => (Outcome::Waiting, message),
            Self::NoImage(trouble, message) if trouble.may_pass() => (Outcome::Waiting, message),
            Self::NoImage(_, message) => (Outcome::FailedUntouched, message),
            Self::Hook(stopped) => (stopped.outcome(), stopped.message),
        }
    }
}
