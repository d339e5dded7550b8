//! The image that is asked for: its digest, and itself, pulled where it is not here. Not here: whether it is fit to run
//! (`plan`), and how a registry is asked (`docker`).

use std::time::Instant;

use serde_json::Value;
use towline_protocol::{Digest, Outcome};

use super::{Progress, StepClock, prepare::Halt};
use crate::{
    docker::{Docker, EngineError, Layers, RegistryError},
    plan::Target,
};

/// The digest that the intent names, or that the tag has in the registry now.
pub(super) async fn resolve(
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

/// An image on the engine.
pub(super) struct Fetched {
    pub(super) image: Value,
    /// Whether it was not here before.
    pub(super) is_new: bool,
}

/// The image's id.
pub(super) fn id(image: &Value) -> Option<&str> {
    image.get("Id")?.as_str()
}

/// The image, pulled unless it is here.
pub(super) async fn fetch(
    engine: &Docker,
    target: &Target,
    digest: &Digest,
    clock: &mut StepClock,
    tell: &mut dyn FnMut(Progress),
) -> Result<Fetched, Halt> {
    let begun = Instant::now();
    let reference = target.at(digest);
    let name = reference.to_string();
    let mut layers = Layers::default();
    let known = engine.image(&name).await?;
    let is_new = known.is_none();
    let image = match known {
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
    Ok(Fetched { image, is_new })
}

/// The image that the operator's tag leads to now.
pub(super) async fn tag_of(
    engine: &Docker,
    target: &Target,
) -> Result<Option<String>, EngineError> {
    let Some(tag) = target.tag() else {
        return Ok(None);
    };
    let image = engine.image(&tag.to_string()).await?;
    Ok(image.as_ref().and_then(id).map(str::to_owned))
}
