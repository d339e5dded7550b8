//! Images that a project can be taken back to: each has a local tag `towline/SERVICE:DIGEST12`, so that a pruning spares it
//! while the file's own tag leads elsewhere. Which of them are worth keeping is the store's to say ([`crate::store::Forgotten`]).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use towline_protocol::{Digest, ServiceName};

use super::{Container, Pulled};
use crate::{
    docker::{Docker, EngineError},
    reference::{Reference, kept_tag},
    store::KeptImage,
};

/// Keeps the images that were pulled.
///
/// # Errors
/// See [`EngineError`].
pub async fn keep_pulled(
    engine: &Docker,
    service: &ServiceName,
    pulled: &[Pulled],
) -> Result<Vec<KeptImage>, EngineError> {
    let mut kept = Vec::new();
    for one in pulled {
        let reference = one.reference.to_string();
        kept.push(keep(engine, service, reference, &one.id, one.digest.clone()).await?);
    }
    Ok(kept)
}

/// An image that containers were made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The reference that they were made with.
    pub reference: String,
    /// Its id.
    pub id: String,
    /// Its digest, if it came from a registry.
    pub digest: Option<Digest>,
}

/// The images that the containers of these services were made from, each once. One that is gone from the engine is left out:
/// there is nothing to keep.
///
/// # Errors
/// See [`EngineError`].
pub async fn running(
    engine: &Docker,
    containers: &[Container],
    services: &[String],
) -> Result<Vec<Running>, EngineError> {
    let its = containers
        .iter()
        .filter(|one| services.contains(&one.service));
    let images: BTreeMap<_, _> = its.map(|one| ((&one.reference, &one.image), ())).collect();
    let mut all = Vec::new();
    for (reference, id) in images.into_keys() {
        let Some(image) = engine.image(id).await? else {
            continue;
        };
        all.push(Running {
            digest: digest(&image, reference),
            reference: reference.clone(),
            id: id.clone(),
        });
    }
    Ok(all)
}

/// Keeps the images that [`running`] finds.
///
/// # Errors
/// See [`EngineError`].
pub async fn keep_running(
    engine: &Docker,
    service: &ServiceName,
    containers: &[Container],
    services: &[String],
) -> Result<Vec<KeptImage>, EngineError> {
    let mut kept = Vec::new();
    for one in running(engine, containers, services).await? {
        kept.push(keep(engine, service, one.reference, &one.id, one.digest).await?);
    }
    Ok(kept)
}

/// Lets go of local tags, and of their images where nothing else names or uses them. What the engine does not let go is only
/// kept longer.
pub async fn let_go(engine: &Docker, tags: &BTreeSet<String>) {
    let (Ok(local), Ok(in_use)) = tokio::join!(engine.local_tags(), engine.images_in_use()) else {
        return;
    };
    let stale = local
        .iter()
        .filter(|local| tags.contains(&local.tag) && !in_use.contains(&local.image));
    for stale in stale {
        let Ok(tag) = stale.tag.parse::<Reference>() else {
            continue;
        };
        if engine.untag(&tag).await.is_ok() {
            engine.remove_unnamed(&stale.image).await.ok();
        }
    }
}

async fn keep(
    engine: &Docker,
    service: &ServiceName,
    reference: String,
    id: &str,
    digest: Option<Digest>,
) -> Result<KeptImage, EngineError> {
    let odd = || EngineError::Unexpected(format!("no local tag can be made of {id:?}"));
    let tag = kept_tag(service, digest.as_ref(), id).ok_or_else(odd)?;
    engine.tag(id, &tag).await?;
    Ok(KeptImage {
        reference,
        id: id.to_owned(),
        tag: tag.familiar(),
        digest,
    })
}

/// The digest that an image has in the repository of `reference`.
pub(super) fn digest(image: &Value, reference: &str) -> Option<Digest> {
    let reference: Reference = reference.parse().ok()?;
    let all = image.get("RepoDigests").and_then(Value::as_array);
    let all = all.into_iter().flatten().filter_map(Value::as_str);
    let all = all.filter_map(|one| one.parse::<Reference>().ok());
    let mut its = all.filter(|one| one.same_repository(&reference));
    its.next()?.digest().cloned()
}
