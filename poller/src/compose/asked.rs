//! Which images a project's services want, and which one of them an intent is about. Pure; how they are had is in `images`.

use towline_protocol::{Digest, Image};

use super::Resolved;
use crate::reference::Reference;

/// An image that services of a project want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedImage {
    /// As the file names it.
    pub reference: Reference,
    /// The digest, where the file or the intent has one.
    pub digest: Option<Digest>,
    /// The services that want it.
    pub services: Vec<String>,
}

/// The images of the services that are wanted, each once, with what the intent says about one of them.
///
/// # Errors
/// When the intent is about an image that the file does not name: the file is final.
pub fn asked(resolved: &Resolved, intent: Option<&Image>) -> Result<Vec<WantedImage>, String> {
    let mut images: Vec<WantedImage> = Vec::new();
    for (name, service) in resolved.wanted() {
        let Some(reference) = &service.reference else {
            continue;
        };
        let known = images
            .iter_mut()
            .find(|known| known.reference == *reference);
        match known {
            Some(known) => known.services.push(name.to_owned()),
            None => images.push(WantedImage {
                reference: reference.clone(),
                digest: reference.digest().cloned(),
                services: vec![name.to_owned()],
            }),
        }
    }
    if let Some(image) = intent {
        narrow(&mut images, image)?;
    }
    Ok(images)
}

/// Gives the image that the intent is about the intent's digest.
fn narrow(images: &mut [WantedImage], intent: &Image) -> Result<(), String> {
    let named = intent
        .reference
        .as_deref()
        .map(str::parse::<Reference>)
        .transpose()
        .map_err(|error| error.to_string())?;
    let digest = match (
        &intent.digest,
        named.as_ref().and_then(|named| named.digest()),
    ) {
        (Some(one), Some(other)) if one != other => {
            return Err("the intent names two different digests".to_owned());
        }
        (one, other) => one.as_ref().or(other).cloned(),
    };
    let names = told(images);
    let is_it = |image: &&mut WantedImage| {
        named
            .as_ref()
            .is_none_or(|named| named.same_repository(&image.reference))
    };
    let of_repository: Vec<_> = images.iter_mut().filter(is_it).collect();
    let about = named
        .as_ref()
        .map_or_else(|| "a digest alone".to_owned(), ToString::to_string);
    if of_repository.is_empty() {
        return Err(format!(
            "the intent is about {about}, and the services use {names}"
        ));
    }
    let tag = named.as_ref().and_then(Reference::tag);
    let mut fitting: Vec<_> = of_repository
        .into_iter()
        .filter(|image| tag.is_none() || image.reference.tag() == tag)
        .collect();
    match (fitting.as_mut_slice(), digest) {
        ([], _) => Err(format!(
            "the intent is about {about}, and the Compose file names the tag: the services use {names}"
        )),
        ([image], Some(digest)) => match &image.digest {
            Some(own) if *own != digest => Err(format!(
                "the intent asks for {}, and the Compose file for {}",
                digest.short(),
                image.reference
            )),
            _ => {
                image.digest = Some(digest);
                Ok(())
            }
        },
        ([_, _, ..], Some(_)) => Err(format!(
            "the intent is about {about}, which could be each of {names}"
        )),
        (_, None) => Ok(()),
    }
}

fn told(images: &[WantedImage]) -> String {
    let all: Vec<_> = images
        .iter()
        .map(|image| image.reference.to_string())
        .collect();
    all.join(", ")
}
