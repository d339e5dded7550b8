//! The parts of this folder put together, for whoever drives a deploy: look, fetch, bring up, go back.
//!
//! [`look`] and [`fetch`] touch nothing but the engine's store of images. What they found that the later steps need is a
//! [`Brought`], which goes into the journal: after a crash the file of the new version may be gone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use towline_protocol::{Digest, Image, Sha};

use super::{
    Asked, Cli, ComposeError, Container, ImageTrouble, Project, Pulled, Resolved, Up, Variables,
    asked, beside, containers, digests, mend, mends, missing, pins, pull, pull_missing, tag_away,
    taken,
};
use crate::{
    docker::{Docker, EngineError, Layers},
    machine::TagMove,
    process::Identity,
    version::VersionId,
};

/// The command line and the engine that it drives.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// The command line.
    pub cli: &'a Cli,
    /// The engine.
    pub engine: &'a Docker,
}

/// A version of a project: where its file is, and what it is told.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The project, as that version has it.
    pub project: &'a Project,
    /// What it is told.
    pub told: &'a Variables,
}

/// What was found before the first step.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the new version's file means.
    pub resolved: Resolved,
    /// The containers of its services, dependencies included, as they are.
    pub before: Vec<Container>,
    /// The images that are wanted, with their digests.
    pub asked: Vec<Asked>,
}

/// What a deploy brings up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The project's name.
    pub name: String,
    /// The services that are deployed.
    pub wanted: Vec<String>,
    /// Those and what they depend on.
    pub services: Vec<String>,
    /// The ids of the images that those which are deployed get, by service.
    pub images: BTreeMap<String, String>,
}

/// Why there is nothing to bring up. Nothing was touched.
#[derive(Debug, Error)]
pub enum NotReady {
    /// Compose's reason.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// An image's.
    #[error(transparent)]
    Image(#[from] ImageTrouble),
    /// Ours.
    #[error("{0}")]
    Refused(String),
}

impl From<EngineError> for NotReady {
    fn from(error: EngineError) -> Self {
        Self::Image(error.into())
    }
}

/// What the new version is, and what is there; refused when it cannot be deployed, or when nothing would lead back to `old`.
///
/// # Errors
/// See [`NotReady`].
pub async fn look(
    tools: Tools<'_>,
    new: Of<'_>,
    old: Of<'_>,
    image: Option<&Image>,
) -> Result<Found, NotReady> {
    tools.cli.version().await?;
    let resolved = tools.cli.resolve(new.project, new.told).await?;
    if let Some(why) = taken(tools.engine, &resolved).await? {
        return Err(NotReady::Refused(why));
    }
    let mut before = containers(tools.engine, &resolved.name).await?;
    if let Some(half) = half_made(&before) {
        return Err(NotReady::Refused(half));
    }
    before.retain(|one| resolved.services.contains_key(&one.service));
    if !before.is_empty() {
        resolve_old(tools.cli, old, new.told).await?;
    }
    let wanted = asked(&resolved, image).map_err(NotReady::Refused)?;
    let asked = digests(tools.engine, wanted).await;
    let asked = asked.map_err(|error| ImageTrouble::Registry(Box::new(error)))?;
    Ok(Found {
        resolved,
        before,
        asked,
    })
}

fn half_made(all: &[Container]) -> Option<String> {
    (!mends(all).is_empty()).then(|| {
        "a container of the project is half made: a `docker compose up` is under way or was interrupted; let it end, or run \
         it once more"
            .to_owned()
    })
}

/// What the version before means. Where the file needs what is not known of it, it is told of the new one: its images are
/// pinned when it is brought up, so that only other places of the file differ.
async fn resolve_old(
    cli: &Cli,
    old: Of<'_>,
    new: &Variables,
) -> Result<(Resolved, Vec<(String, String)>), ComposeError> {
    let refused = match cli.resolve(old.project, old.told).await {
        Ok(resolved) => return Ok((resolved, old.told.to_vec())),
        Err(refused @ (ComposeError::Unset { .. } | ComposeError::Refused { .. })) => refused,
        Err(error) => return Err(error),
    };
    let is_unknown = |one: &&(String, String)| !old.told.iter().any(|has| has.0 == one.0);
    let mut told = old.told.to_vec();
    told.extend(new.iter().filter(is_unknown).cloned());
    match cli.resolve(old.project, &told).await {
        Ok(resolved) => Ok((resolved, told)),
        Err(_) => Err(refused),
    }
}

impl Found {
    /// What the new version is known by.
    pub fn version(&self, commit: Option<&Sha>) -> Option<VersionId> {
        let images: BTreeMap<String, Digest> = self
            .asked
            .iter()
            .flat_map(|asked| {
                let services = asked.image.services.iter();
                services.map(|service| (service.clone(), asked.digest.clone()))
            })
            .collect();
        VersionId::of_images(commit, &images)
    }

    /// What is brought up, with the images that were fetched for it.
    pub fn brought(&self, pulled: &[Pulled]) -> Brought {
        let images = pulled.iter().flat_map(|pulled| {
            let services = pulled.services.iter();
            services.map(|service| (service.clone(), pulled.id.clone()))
        });
        let is_wanted = |(service, _): &(String, String)| self.resolved.wanted.contains(service);
        Brought {
            name: self.resolved.name.clone(),
            wanted: self.resolved.wanted.clone(),
            services: self.resolved.services.keys().cloned().collect(),
            images: images.filter(is_wanted).collect(),
        }
    }
}

/// All images of the new version, pulled where they are not here.
///
/// # Errors
/// See [`ImageTrouble`].
pub async fn fetch(
    engine: &Docker,
    found: &Found,
    tell: &mut dyn FnMut(&Layers),
) -> Result<Vec<Pulled>, ImageTrouble> {
    let mut pulled = pull(engine, &found.asked, &found.before, tell).await?;
    pulled.extend(pull_missing(engine, &found.resolved, tell).await?);
    Ok(pulled)
}

/// Brings the new version up. `begun` and `line` are [`crate::process::run`]'s.
///
/// # Errors
/// See [`ComposeError`].
pub async fn up_new(
    tools: Tools<'_>,
    new: Of<'_>,
    brought: &Brought,
    stop_timeout: Option<std::time::Duration>,
    begun: &mut dyn FnMut(&Identity) -> Result<(), String>,
    line: &mut dyn FnMut(&str),
) -> Result<(), ComposeError> {
    let up = Up {
        project: new.project,
        name: &brought.name,
        services: &brought.wanted,
        told: new.told,
        pins: &BTreeMap::new(),
        stop_timeout,
    };
    tools.cli.up(tools.engine, &up, begun, line).await
}

/// What to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Back<'a> {
    /// The version before.
    pub old: Of<'a>,
    /// What the new one was told.
    pub new: &'a Variables,
    /// What it brought up.
    pub brought: &'a Brought,
    /// Service and image's id of each container before.
    pub before: &'a [(&'a str, &'a str)],
    /// The tags that were moved, and are back by now.
    pub tags: &'a [TagMove],
    /// How long a container may take to stop, if not as long as its own settings say.
    pub stop_timeout: Option<std::time::Duration>,
}

/// Brings the version before up again, with the images that its containers had, and removes the containers of services that
/// had none. Never a volume.
///
/// # Errors
/// See [`ComposeError`].
pub async fn up_old(
    tools: Tools<'_>,
    back: Back<'_>,
    begun: &mut dyn FnMut(&Identity) -> Result<(), String>,
    line: &mut dyn FnMut(&str),
) -> Result<(), ComposeError> {
    let had: BTreeSet<_> = back.before.iter().map(|(service, _)| *service).collect();
    let name = &back.brought.name;
    if !had.is_empty() {
        let (resolved, told) = resolve_old(tools.cli, back.old, back.new).await?;
        let services: Vec<_> = had
            .iter()
            .filter(|service| resolved.services.contains_key(**service))
            .map(|service| (*service).to_owned())
            .collect();
        let up = Up {
            project: back.old.project,
            name,
            services: &services,
            told: &told,
            pins: &pins(tools.engine, &resolved, back.before).await?,
            stop_timeout: back.stop_timeout,
        };
        tools.cli.up(tools.engine, &up, begun, line).await?;
    } else {
        mend(tools.engine, name).await?;
    }
    let had: Vec<_> = had.into_iter().collect();
    let brought: Vec<_> = back.brought.services.iter().map(String::as_str).collect();
    let now = containers(tools.engine, name).await?;
    for extra in beside(&had, &brought, &now) {
        gone(tools.engine.stop(&extra.id, back.stop_timeout).await)?;
        gone(tools.engine.remove(&extra.id).await)?;
    }
    // A tag that is left harms nobody.
    tag_away(tools.engine, back.tags).await.ok();
    Ok(())
}

/// A container that is gone already need not be removed.
fn gone(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::NotFound(_)) => Ok(()),
        other => other,
    }
}

/// What of the version before does not run again, in words. `before` is each container's service, image's id, and whether
/// it ran.
///
/// # Errors
/// See [`EngineError`].
pub async fn not_back<'a>(
    engine: &Docker,
    project: &str,
    before: impl IntoIterator<Item = (&'a str, &'a str, bool)>,
) -> Result<Option<String>, EngineError> {
    Ok(missing(before, &containers(engine, project).await?))
}
