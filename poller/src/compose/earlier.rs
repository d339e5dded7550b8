//! The images of a version that is kept: on the engine, or pulled by their digests where somebody has removed them. No registry is
//! asked for what a tag leads to. Not here: which version that is (`plan`), and that its images stay (`kept`).

use towline_protocol::Digest;

use super::{
    ImageTrouble, Pulled, Resolved, WantedImage, asked,
    images::{fetch, id, tag_move},
};
use crate::{
    docker::{Cause, Docker, EngineError, Layers},
    reference::Reference,
    store::KeptImage,
};

/// The images of an earlier version for the services that are wanted, each once; `resolved` is what the file means for that
/// version, and `kept` are its images. Services that are to have no container need none. `tell` hears how far a pull is.
///
/// # Errors
/// See [`ImageTrouble`]: `Refused` also when the version has no such image, or nobody has it any more.
pub async fn pull_kept(
    engine: &Docker,
    resolved: &Resolved,
    kept: &[KeptImage],
    tell: &mut dyn FnMut(&Layers),
) -> Result<Vec<Pulled>, ImageTrouble> {
    let has_container = |service: &String| {
        let service = resolved.services.get(service);
        service.is_some_and(|service| service.replicas > 0)
    };
    let mut all = Vec::new();
    for wanted in asked(resolved, None).map_err(ImageTrouble::Refused)? {
        if !wanted.services.iter().any(has_container) {
            continue;
        }
        let image = meant(&wanted, kept)?;
        let (id, is_new) = here(engine, &wanted, image, tell).await?;
        all.push(Pulled {
            tag: tag_move(engine, &wanted.reference, &id).await?,
            reference: wanted.reference,
            services: wanted.services,
            digest: image.digest.clone(),
            id,
            is_new,
        });
    }
    Ok(all)
}

/// The image that the version ran by the name that the file has.
fn meant<'k>(wanted: &WantedImage, kept: &'k [KeptImage]) -> Result<&'k KeptImage, ImageTrouble> {
    let is_it = |one: &&KeptImage| {
        let named = one.reference.parse::<Reference>();
        named.is_ok_and(|named| named == wanted.reference)
    };
    let mut its = kept.iter().filter(is_it);
    let (name, services) = (&wanted.reference, wanted.services.join(", "));
    let Some(first) = its.next() else {
        return Err(ImageTrouble::Refused(format!(
            "the Compose file names {name} for {services}, and the earlier version did not run that: put the file as it was \
             then, or name another version by --to"
        )));
    };
    if its.any(|other| other.id != first.id) {
        return Err(ImageTrouble::Refused(format!(
            "containers of the earlier version ran different images as {name}, which can lead to one only: name another \
             version by --to"
        )));
    }
    Ok(first)
}

/// The image's id, and whether it was pulled now.
async fn here(
    engine: &Docker,
    wanted: &WantedImage,
    kept: &KeptImage,
    tell: &mut dyn FnMut(&Layers),
) -> Result<(String, bool), ImageTrouble> {
    if engine.image(&kept.id).await?.is_some() {
        return Ok((kept.id.clone(), false));
    }
    let (name, services) = (&wanted.reference, wanted.services.join(", "));
    let gone = |digest: Option<&Digest>, why: &str| {
        let digest = digest.map_or("", Digest::short);
        ImageTrouble::Refused(format!(
            "the image {digest} of {name} for {services} is not here any more, {why}: name another version by --to"
        ))
    };
    let Some(digest) = &kept.digest else {
        return Err(gone(None, "and no registry has it by a digest"));
    };
    match fetch(engine, name, digest, tell).await {
        Ok((image, is_new)) => Ok((id(&image).to_owned(), is_new)),
        Err(ImageTrouble::Registry(error)) if !is_lost(&error.cause) => {
            let why = format!("and cannot be pulled by its digest ({error})");
            Err(gone(Some(digest), &why))
        }
        Err(error) => Err(error),
    }
}

/// Whether it is the engine that does not answer.
fn is_lost(cause: &Cause) -> bool {
    matches!(cause, Cause::Engine(EngineError::Unreachable { .. }))
}
