//! The images that a project wants (`asked`): which digests they have, and themselves, pulled where they are not here.
//!
//! An image is always pulled by its digest; the file's own tag follows later, as a step of the deploy ([`TagMove`]), so that
//! what runs goes on having its tag until then. Not here: how a registry is asked (`docker`).

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;
use towline_protocol::Digest;

use super::{Container, Resolved, WantedImage};
use crate::{
    docker::{Docker, EngineError, Layers, RegistryError},
    machine::TagMove,
    reference::Reference,
};

/// An image whose digest is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is wanted.
    pub image: WantedImage,
    /// Its digest.
    pub digest: Digest,
}

/// An image that is on the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// As the file names it.
    pub reference: Reference,
    /// The services that want it.
    pub services: Vec<String>,
    /// Its digest; `None` for one that was here and that no registry was asked about.
    pub digest: Option<Digest>,
    /// Its id.
    pub id: String,
    /// Whether it was not here before.
    pub is_new: bool,
    /// The file's tag, where it does not lead there yet.
    pub tag: Option<TagMove>,
}

/// Why a project's images could not be had. Nothing was touched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImageTrouble {
    /// A registry's.
    #[error(transparent)]
    Registry(#[from] Box<RegistryError>),
    /// The engine's.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The image itself is no good here.
    #[error("{0}")]
    Unfit(String),
    /// An image that nobody can pull.
    #[error("{0}")]
    Refused(String),
}

/// The digest of each image: the one that is asked for, or the one that its tag has in the registry now.
///
/// # Errors
/// See [`RegistryError`].
pub async fn digests(
    engine: &Docker,
    wanted: Vec<WantedImage>,
) -> Result<Vec<Asked>, RegistryError> {
    let mut all = Vec::new();
    for image in wanted {
        let digest = match &image.digest {
            Some(digest) => digest.clone(),
            None => engine.resolve(&image.reference).await?,
        };
        all.push(Asked { image, digest });
    }
    Ok(all)
}

/// The images on the engine, pulled where they are not here; none for another platform than the container of its service
/// before. `tell` hears how far a pull is.
///
/// # Errors
/// See [`ImageTrouble`].
pub async fn pull(
    engine: &Docker,
    asked: &[Asked],
    before: &[Container],
    tell: &mut dyn FnMut(&Layers),
) -> Result<Vec<Pulled>, ImageTrouble> {
    let mut all = Vec::new();
    for one in asked {
        let (shown, is_new) = fetch(engine, &one.image.reference, &one.digest, tell).await?;
        if let Some(unfit) = unfit(engine, one, &shown, before).await? {
            if is_new {
                engine.remove_unnamed(id(&shown)).await.ok();
            }
            return Err(ImageTrouble::Unfit(unfit));
        }
        all.push(pulled(engine, one, id(&shown), is_new).await?);
    }
    Ok(all)
}

/// What [`pull`] would come to, as far as that can be known without a pull: an image that is not here has its digest in place
/// of its id, and may not fit.
///
/// # Errors
/// See [`ImageTrouble`].
pub async fn foresee(
    engine: &Docker,
    asked: &[Asked],
    before: &[Container],
) -> Result<Vec<Pulled>, ImageTrouble> {
    let mut all = Vec::new();
    for one in asked {
        let name = one.image.reference.at_digest(&one.digest).to_string();
        let Some(shown) = engine.image(&name).await? else {
            all.push(pulled(engine, one, &one.digest.to_string(), true).await?);
            continue;
        };
        if let Some(unfit) = unfit(engine, one, &shown, before).await? {
            return Err(ImageTrouble::Unfit(unfit));
        }
        all.push(pulled(engine, one, id(&shown), false).await?);
    }
    Ok(all)
}

async fn pulled(
    engine: &Docker,
    asked: &Asked,
    id: &str,
    is_new: bool,
) -> Result<Pulled, EngineError> {
    let WantedImage {
        reference,
        services,
        ..
    } = &asked.image;
    Ok(Pulled {
        tag: tag_move(engine, reference, id).await?,
        reference: reference.clone(),
        services: services.clone(),
        digest: Some(asked.digest.clone()),
        id: id.to_owned(),
        is_new,
    })
}

/// The images that only dependencies want: those that are here stay as they are, the others are pulled.
///
/// # Errors
/// See [`ImageTrouble`]: also for one that would have to be built.
pub async fn pull_missing(
    engine: &Docker,
    resolved: &Resolved,
    tell: &mut dyn FnMut(&Layers),
) -> Result<Vec<Pulled>, ImageTrouble> {
    let asked = missing_images(engine, resolved).await?;
    pull(engine, &asked, &[], tell).await
}

/// The images that only dependencies want and that are not here, with their digests.
///
/// # Errors
/// See [`ImageTrouble`]: also for one that would have to be built.
pub async fn missing_images(
    engine: &Docker,
    resolved: &Resolved,
) -> Result<Vec<Asked>, ImageTrouble> {
    let wanted: Vec<_> = resolved
        .wanted()
        .map(|(_, service)| &service.image)
        .collect();
    let mut missing: BTreeMap<&str, (Reference, Vec<String>)> = BTreeMap::new();
    for (name, service) in resolved.dependencies() {
        if wanted.contains(&&service.image) || engine.image(&service.image).await?.is_some() {
            continue;
        }
        let Some(reference) = &service.reference else {
            return Err(ImageTrouble::Refused(format!(
                "the service {name} has `build` and no `image`, and its image {} is not here: Towline builds nothing; \
                 run `docker compose build {name}` first",
                service.image
            )));
        };
        let entry = missing.entry(&service.image);
        let entry = entry.or_insert_with(|| (reference.clone(), Vec::new()));
        entry.1.push(name.to_owned());
    }
    let wanted = missing
        .into_values()
        .map(|(reference, services)| WantedImage {
            digest: reference.digest().cloned(),
            reference,
            services,
        });
    let asked = digests(engine, wanted.collect()).await;
    Ok(asked.map_err(Box::new)?)
}

/// The image by its digest, and whether it had to be pulled.
pub(super) async fn fetch(
    engine: &Docker,
    reference: &Reference,
    digest: &Digest,
    tell: &mut dyn FnMut(&Layers),
) -> Result<(Value, bool), ImageTrouble> {
    let at = reference.at_digest(digest);
    let name = at.to_string();
    if let Some(known) = engine.image(&name).await? {
        return Ok((known, false));
    }
    engine.pull(&at, tell).await.map_err(Box::new)?;
    match engine.image(&name).await? {
        Some(image) => Ok((image, true)),
        None => Err(ImageTrouble::Unfit(format!(
            "{name}: the pull ended well, and the image is not there"
        ))),
    }
}

/// Why an image is no good for the services that have containers, if it is not.
async fn unfit(
    engine: &Docker,
    asked: &Asked,
    new: &Value,
    before: &[Container],
) -> Result<Option<String>, EngineError> {
    let image = &asked.image;
    let its = before
        .iter()
        .filter(|old| image.services.contains(&old.service));
    for old in its {
        let old = engine.image(&old.image).await?;
        if let Some(unfit) = other_platform(&image.reference, new, old) {
            return Ok(Some(unfit));
        }
    }
    Ok(None)
}

fn other_platform(reference: &Reference, new: &Value, old: Option<Value>) -> Option<String> {
    let platform = |image: &Value| {
        let text = |key: &str| image.get(key)?.as_str().filter(|text| !text.is_empty());
        Some(format!("{}/{}", text("Os")?, text("Architecture")?))
    };
    let (found, expected) = (platform(new)?, old.as_ref().and_then(platform)?);
    (found != expected).then(|| {
        format!("{reference} is for {found}, and the container that it would replace is {expected}")
    })
}

/// The move of the file's tag to the image `id`, unless it leads there or the file names a digest.
pub(super) async fn tag_move(
    engine: &Docker,
    reference: &Reference,
    to: &str,
) -> Result<Option<TagMove>, EngineError> {
    if reference.digest().is_some() {
        return Ok(None);
    }
    let reference = reference.to_string();
    let now = engine.image(&reference).await?;
    let from = now.as_ref().map(|image| id(image).to_owned());
    let to = to.to_owned();
    Ok((from.as_ref() != Some(&to)).then_some(TagMove {
        reference,
        from,
        to,
    }))
}

pub(super) fn id(image: &Value) -> &str {
    image.get("Id").and_then(Value::as_str).unwrap_or_default()
}

/// Images by service that the project must be told of by their ids, since its file's own names do not lead to them: where the
/// version before is not known, its tag is not, and where somebody has moved the tag. `before` is each container's service
/// and image's id.
///
/// # Errors
/// See [`EngineError`].
pub async fn pins(
    engine: &Docker,
    resolved: &Resolved,
    before: &[(&str, &str)],
) -> Result<BTreeMap<String, String>, EngineError> {
    let mut pins = BTreeMap::new();
    for (service, image) in before {
        let Some(named) = resolved.services.get(*service) else {
            continue;
        };
        let leads_to = engine.image(&named.image).await?;
        if leads_to.as_ref().map(id) != Some(*image) {
            pins.insert((*service).to_owned(), (*image).to_owned());
        }
    }
    Ok(pins)
}
