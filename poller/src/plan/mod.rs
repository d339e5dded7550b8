//! What would be done to one service, from what the engine shows: decided before anything is touched.
//!
//! Pure. [`Observed`] is what was looked at, [`refusal`] says why a container may not be replaced at all, [`target`]
//! which image an intent asks for, [`companions`] what is replaced with it, [`plan`] what the machine and the engine get, [`back`] the same for a version that is
//! kept. Not here: looking (`apply`), and
//! whether the intent is for this service (`select`).

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use thiserror::Error;
use towline_protocol::{Digest, Side};

use crate::{
    machine::{Deploy, Member, TagMove},
    reference::Reference,
    spec::{self, CreateRequest, Recreate, SpecError},
};

mod back;
mod choose;
mod earlier;
mod eligible;
mod group;
mod obstacle;
mod replicas;
mod target;

pub use back::{Whose, back, choose_version, moved_tag, short_name};
pub use choose::{beside, chosen, will_have};
pub use earlier::{Earlier, NoWayBack, VersionNames, choose_earlier, choose_revision};
pub use eligible::{Unfit, Way, choose_way, gone};
pub use group::{Companion, accompanied_replica, companions, lenders, own_tag, strayed};
use group::{Moved, made, members};
pub use obstacle::{Refusal, Route, own_container, refusal};
pub use replicas::{as_one, digest_of, has_already, joined, named, rolled, targets, unlike};
pub use target::{Target, target};

/// How long ago the engine started a container again that counts as crashing. It waits a minute at most between tries.
const RECENT: SignedDuration = SignedDuration::from_mins(1);

/// What the engine shows of a service, in its own JSON. The environment may hold secrets: `Debug` does not show it.
#[derive(Clone)]
pub struct Observed {
    /// The container.
    pub container: Value,
    /// The image that it was made from; `None` when it is gone.
    pub image: Option<Value>,
    /// Every container of the host.
    pub all: Vec<Value>,
    /// Those that share a namespace of it, each after the one that it shares with: they are replaced with it.
    pub with: Vec<Companion>,
    /// The digest that the last deploy has brought: the one that counts when the image has several, as it has when a build
    /// made the same image again.
    pub brought: Option<Digest>,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl Observed {
    /// The container's name.
    pub fn name(&self) -> &str {
        self.text("/Name").trim_start_matches('/')
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        self.text("/Id")
    }

    /// The reference that the container was made with.
    pub fn reference(&self) -> &str {
        self.text("/Config/Image")
    }

    /// The id of the image that it was made from.
    pub fn image_id(&self) -> &str {
        self.text("/Image")
    }

    /// Whether it runs, or is about to be started again by the engine.
    pub fn runs(&self) -> bool {
        runs(&self.container)
    }

    /// Whether the engine has to start it again and again: it did so a moment ago. One that crashed once, long ago, is
    /// expected to go on running.
    fn restarts(&self, now: Timestamp) -> bool {
        let count = self.container.get("RestartCount").and_then(Value::as_u64);
        let started = self.text("/State/StartedAt").parse::<Timestamp>().ok();
        let is_recent = started.is_some_and(|started| now.duration_since(started) < RECENT);
        self.container.pointer("/State/Restarting") == Some(&Value::Bool(true))
            || (count.is_some_and(|count| count > 0) && is_recent)
    }

    /// The same, where a deploy has brought `digest` last.
    pub fn brought(self, digest: Option<Digest>) -> Self {
        Self {
            brought: digest,
            ..self
        }
    }

    /// The digest that it runs, if its image came from a registry.
    pub fn digest(&self) -> Option<Digest> {
        if let Some(brought) = self.brought.as_ref().filter(|digest| self.has(digest)) {
            return Some(brought.clone());
        }
        let own = self.reference().parse::<Reference>().ok();
        let digests = || self.image.iter().flat_map(repo_digests);
        let same =
            digests().find(|digest| own.as_ref().is_some_and(|own| own.same_repository(digest)));
        same.or_else(|| digests().next())
            .and_then(|reference| reference.digest().cloned())
    }

    /// Whether the container was made from the image of this digest.
    pub fn has(&self, digest: &Digest) -> bool {
        self.image
            .iter()
            .flat_map(repo_digests)
            .any(|reference| reference.digest() == Some(digest))
    }

    /// The restart policy as the engine shows it.
    fn policy(&self) -> Value {
        self.container
            .pointer("/HostConfig/RestartPolicy")
            .cloned()
            .unwrap_or(Value::Null)
    }

    fn text(&self, path: &str) -> &str {
        self.container
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// Whether it runs, or is about to be started again by the engine.
fn runs(container: &Value) -> bool {
    let is = |path| container.pointer(path) == Some(&Value::Bool(true));
    is("/State/Running") || is("/State/Restarting")
}

/// The digests under which an image was pulled.
fn repo_digests(image: &Value) -> impl Iterator<Item = Reference> {
    let digests = image.get("RepoDigests").and_then(Value::as_array);
    digests
        .into_iter()
        .flatten()
        .filter_map(|digest| digest.as_str()?.parse().ok())
}

/// How a container is made, and the id of the image that it must have.
pub type Made = (CreateRequest, String);

/// A replacement, worked out to the end.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The machine at its beginning.
    pub deploy: Deploy,
    /// How the replacement of each member is created, and the id of the image that it must have.
    pub create: Vec<Made>,
    /// The id of the new version's image.
    pub image: String,
}

/// What besides the engine's JSON goes into a plan.
#[derive(Clone, Copy, Debug)]
pub struct Naming<'a> {
    /// The container's name.
    pub container: &'a str,
    /// The service's name.
    pub service: &'a str,
    /// The deploy, 8 hex digits.
    pub deploy: &'a str,
    /// Where the operator's tag leads now: an image's id.
    pub tagged: Option<&'a str>,
    /// Whether the old version passed the service's checks.
    pub was_healthy: bool,
    /// The time.
    pub now: Timestamp,
}

/// Why a pulled image may not be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImageMistake {
    /// Not what was asked for.
    #[error("the engine pulled an image that does not have the digest {0}")]
    Digest(Digest),
    /// Made for another platform than the old one.
    #[error("the image is for {found}, and the container that it would replace is {expected}")]
    Platform {
        /// The new image's.
        found: String,
        /// The old image's.
        expected: String,
    },
    /// The engine's JSON lacks a part.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

/// The replacement of `observed` by `image`, which was pulled as `target` at `digest`.
///
/// # Errors
/// See [`ImageMistake`].
pub fn plan(
    observed: &Observed,
    target: &Target,
    digest: &Digest,
    image: &Value,
    naming: Naming<'_>,
    to: Side,
) -> Result<Plan, ImageMistake> {
    verify(observed, image, digest)?;
    let id = image.get("Id").and_then(Value::as_str).unwrap_or_default();
    let reference = target.shown(digest);
    let create = spec::create_request(&Recreate {
        container: &observed.container,
        old_image: observed.image.as_ref(),
        new_image: image,
        reference: &reference,
        deploy: naming.deploy,
        service: naming.service,
    })?;
    let moved = target.tag().map(|tag| Moved { tag, image });
    let tag = target.tag().filter(|_| naming.tagged != Some(id));
    let tag = tag.map(|reference| TagMove {
        reference: reference.to_string(),
        from: naming.tagged.map(str::to_owned),
        to: id.to_owned(),
    });
    let from = Side {
        sha: None,
        digest: observed.digest(),
    };
    Ok(Plan {
        deploy: deploy(observed, naming, tag, from, to),
        create: [
            vec![(create, id.to_owned())],
            made(observed, moved, naming)?,
        ]
        .concat(),
        image: id.to_owned(),
    })
}

/// The same before the image is there, for people to look at: a tag's new image is not known, unless it is the `image` of
/// this id.
pub fn foreseen(
    observed: &Observed,
    target: &Target,
    image: Option<&str>,
    naming: Naming<'_>,
    to: Side,
) -> Deploy {
    let leads_there = image.is_some() && naming.tagged == image;
    let tag = target.tag().filter(|_| !leads_there);
    let tag = tag.map(|reference| TagMove {
        reference: reference.to_string(),
        from: naming.tagged.map(str::to_owned),
        to: image.unwrap_or_default().to_owned(),
    });
    let from = Side {
        sha: None,
        digest: observed.digest(),
    };
    deploy(observed, naming, tag, from, to)
}

/// The machine at its beginning: the container, and those that share a namespace of it.
fn deploy(
    observed: &Observed,
    naming: Naming<'_>,
    tag: Option<TagMove>,
    from: Side,
    to: Side,
) -> Deploy {
    let mut all = vec![member(observed, naming, tag)];
    all.extend(members(observed, naming));
    Deploy::new(naming.deploy.to_owned(), all, from, to).accompanied()
}

/// The container to replace, as it is now.
fn member(observed: &Observed, naming: Naming<'_>, tag: Option<TagMove>) -> Member {
    Member {
        name: naming.container.to_owned(),
        old: observed.id().to_owned(),
        policy: observed.policy(),
        runs: observed.runs(),
        was_healthy: naming.was_healthy,
        was_restarting: observed.restarts(naming.now),
        tag,
    }
}

/// Whether the pulled image is the one asked for, and can run where the old one did.
fn verify(observed: &Observed, image: &Value, digest: &Digest) -> Result<(), ImageMistake> {
    if !repo_digests(image).any(|reference| reference.digest() == Some(digest)) {
        return Err(ImageMistake::Digest(digest.clone()));
    }
    let platform = |image: &Value| {
        let text = |field: &str| {
            image
                .get(field)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        Some(format!("{}/{}", text("Os")?, text("Architecture")?))
    };
    match (platform(image), observed.image.as_ref().and_then(platform)) {
        (Some(found), Some(expected)) if found != expected => {
            Err(ImageMistake::Platform { found, expected })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
