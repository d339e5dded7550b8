//! Which image an intent asks for: the host's file names the repository, the intent at most a tag or a digest of it.

use towline_protocol::{Digest, Intent, Source};

use super::{Observed, Refusal};
use crate::reference::{Reference, Template};

/// The image that an intent asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is asked of the registry: by tag, unless the digest is known.
    pub wanted: Reference,
    /// The digest, when the intent names it.
    pub digest: Option<Digest>,
    /// The operator's reference, which the container keeps; the one that is wanted where the container was made from
    /// another repository, or from an image's id.
    configured: Configured,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Configured {
    /// As the operator wrote it; its tag is moved to the new image.
    Tag { text: String, tag: Reference },
    /// The text before the `@`; the digest behind it follows the image.
    Digest { text: String },
}

impl Target {
    /// What is pulled once the digest is known.
    pub fn at(&self, digest: &Digest) -> Reference {
        self.wanted.at_digest(digest)
    }

    /// The new container's `Config.Image`.
    pub fn shown(&self, digest: &Digest) -> String {
        match &self.configured {
            Configured::Tag { text, .. } => text.clone(),
            Configured::Digest { text } => format!("{text}@{digest}"),
        }
    }

    /// The local tag that must lead to the new image.
    pub fn tag(&self) -> Option<&Reference> {
        match &self.configured {
            Configured::Tag { tag, .. } => Some(tag),
            Configured::Digest { .. } => None,
        }
    }
}

/// The image that `intent` asks for, for a service with the template `image` and a container as observed.
///
/// # Errors
/// See [`Refusal`]: a repository that the host's file does not name, or nothing that names a tag.
pub fn target(
    image: Option<&Template>,
    intent: &Intent,
    observed: &Observed,
) -> Result<Target, Refusal> {
    let own = own(observed);
    let named = intent
        .image
        .as_ref()
        .and_then(|image| image.reference.as_deref());
    let named = named.map(str::parse::<Reference>).transpose()?;
    let digest = digest(intent, named.as_ref())?;
    let no_tag = || Refusal::NoTag(observed.reference().to_owned());
    let repository = match (image, &own) {
        (Some(template), _) => template.name(),
        (None, Some(own)) => own.name(),
        (None, None) => return Err(no_tag()),
    };
    if let Some(named) = named.as_ref().filter(|named| named.name() != repository) {
        return Err(Refusal::Repository {
            asked: named.name(),
            own: repository,
        });
    }
    let wanted = match (named, image) {
        (Some(named), _) => named,
        (None, Some(template)) => match (
            template.render(&intent.revision, run_number(intent)),
            &digest,
        ) {
            (Ok(reference), _) => reference,
            // The digest says enough.
            (Err(_), Some(digest)) => format!("{repository}@{digest}").parse()?,
            (Err(error), None) => return Err(error.into()),
        },
        (None, None) => own.clone().ok_or_else(no_tag)?,
    };
    if digest.is_none() && wanted.tag().is_none() {
        return Err(no_tag());
    }
    // What was made from a placeholder does not take that image's local tag along.
    let own = own.filter(|own| own.name() == repository);
    let configured = configured(observed, own, &wanted);
    Ok(Target {
        wanted,
        digest,
        configured,
    })
}

/// The reference that the container was made with, if it is one: an image's id, whole or cut, is none.
pub(super) fn own(observed: &Observed) -> Option<Reference> {
    let text = observed.reference();
    let hex = observed.image_id().trim_start_matches("sha256:");
    let is_id = text.starts_with("sha256:")
        || (!hex.is_empty() && text.len() >= 12 && hex.starts_with(text));
    if is_id { None } else { text.parse().ok() }
}

fn digest(intent: &Intent, named: Option<&Reference>) -> Result<Option<Digest>, Refusal> {
    let own = intent
        .image
        .as_ref()
        .and_then(|image| image.digest.as_ref());
    match (own, named.and_then(Reference::digest)) {
        (Some(one), Some(other)) if one != other => Err(Refusal::TwoDigests),
        (one, other) => Ok(one.or(other).cloned()),
    }
}

fn run_number(intent: &Intent) -> Option<u64> {
    match &intent.source {
        Source::WorkflowRun(run) => Some(run.run_number),
        Source::Push(_)
        | Source::RegistryPackage(_)
        | Source::Release(_)
        | Source::Deployment(_)
        | Source::Manual { .. }
        // The number of the run that asks, and not of the one that has built something.
        | Source::Actions(_)
        | Source::Unknown => None,
    }
}

fn configured(observed: &Observed, own: Option<Reference>, wanted: &Reference) -> Configured {
    let text = observed.reference();
    match own {
        Some(own) if own.digest().is_some() => {
            let text = text.split('@').next().unwrap_or_default().to_owned();
            Configured::Digest { text }
        }
        Some(tag) => Configured::Tag {
            text: text.to_owned(),
            tag,
        },
        None => match wanted.tag() {
            Some(tag) if wanted.digest().is_none() => Configured::Tag {
                text: format!("{}:{tag}", wanted.familiar_name()),
                tag: wanted.clone(),
            },
            _ => Configured::Digest {
                text: wanted.familiar_name(),
            },
        },
    }
}
