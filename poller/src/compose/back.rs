//! The way back of a project: whether there is one, and going it. Not here: moving its tags back (`tags`), which comes before,
//! and whether all is well afterwards ([`super::missing`], `health`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Cli, ComposeError, Container, Patience, Project, Resolved, Up, Variables, beside, containers,
    mend, mends, patience::Interrupted, pins, tag_away,
};
use crate::{
    docker::{Docker, EngineError},
    machine::TagMove,
    process::Identity,
};

/// The version before, and what is there of the new one.
#[derive(Clone, Copy, Debug)]
pub struct Back<'a> {
    /// The project as the version before has it, in its place.
    pub project: &'a Project,
    /// Its name, as it was resolved.
    pub name: &'a str,
    /// What is known of the version before.
    pub old: &'a Variables,
    /// What the new one was told.
    pub new: &'a Variables,
    /// Each container before: its service, its image's id, and whether it ran.
    pub before: &'a [(&'a str, &'a str, bool)],
    /// The services that the new version has brought up, dependencies included.
    pub brought: &'a [String],
    /// The tags that were moved, and are back by now.
    pub tags: &'a [TagMove],
    /// How long a container may take to stop, if not as long as its own settings say.
    pub stop_timeout: Option<Duration>,
    /// How long it may be in the way what the engine was asked for last by a Compose that was killed.
    pub patience: Patience,
}

/// Why a project must not be touched now, in words: somebody is at it.
pub fn half_made(all: &[Container]) -> Option<String> {
    (!mends(all).is_empty()).then(|| {
        "a container of the project is half made: a `docker compose up` is under way or was interrupted; let it end, or run \
         it once more"
            .to_owned()
    })
}

/// What the version before means, and what it is to be told. Where its file needs what is not known of it, it is told of the
/// new one: its images are pinned when it is brought up, so that only other places of the file differ.
///
/// # Errors
/// When the file cannot be understood: nothing would lead back to it.
pub async fn resolve_old(
    cli: &Cli,
    project: &Project,
    old: &Variables,
    new: &Variables,
) -> Result<(Resolved, Vec<(String, String)>), ComposeError> {
    let refused = match cli.resolve(project, old).await {
        Ok(resolved) => return Ok((resolved, old.to_vec())),
        Err(refused @ (ComposeError::Unset { .. } | ComposeError::Refused { .. })) => refused,
        Err(error) => return Err(error),
    };
    let is_unknown = |one: &&(String, String)| !old.iter().any(|has| has.0 == one.0);
    let mut told = old.to_vec();
    told.extend(new.iter().filter(is_unknown).cloned());
    match cli.resolve(project, &told).await {
        Ok(resolved) => Ok((resolved, told)),
        Err(_) => Err(refused),
    }
}

/// Brings up again what ran before, with the images that its containers had and as many of them, and removes what the new version
/// has left of services of which none ran. Never a volume. May be repeated.
///
/// # Errors
/// See [`ComposeError`].
pub async fn up_old(
    cli: &Cli,
    engine: &Docker,
    back: &Back<'_>,
    begun: &mut dyn FnMut(&Identity) -> Result<(), String>,
    line: &mut dyn FnMut(&str),
) -> Result<(), ComposeError> {
    let at = Interrupted {
        engine,
        project: back.name,
        grace: back.stop_timeout,
    };
    let once = async |line: &mut dyn FnMut(&str)| up_old_once(cli, engine, back, begun, line).await;
    back.patience.tries(&at, line, once).await
}

async fn up_old_once(
    cli: &Cli,
    engine: &Docker,
    back: &Back<'_>,
    begun: &mut dyn FnMut(&Identity) -> Result<(), String>,
    line: &mut dyn FnMut(&str),
) -> Result<(), ComposeError> {
    let ran = back.before.iter().filter(|(_, _, ran)| *ran);
    let ran: BTreeSet<_> = ran.map(|(service, _, _)| *service).collect();
    mend(engine, back.name).await?;
    let images = images(engine, back.before).await?;
    if !ran.is_empty() {
        let (resolved, told) = resolve_old(cli, back.project, back.old, back.new).await?;
        let has = |service: &&&str| resolved.services.contains_key(**service);
        let services = ran.iter().filter(has);
        let services: Vec<_> = services.map(|service| (*service).to_owned()).collect();
        let up = Up {
            project: back.project,
            name: back.name,
            services: &services,
            told: &told,
            pins: &pins(engine, &resolved, &images).await?,
            scale: &scale(&resolved, &services, back.before),
            stop_timeout: back.stop_timeout,
            patience: Patience::NONE,
        };
        cli.up(engine, &up, begun, line).await?;
    }
    remove_new(engine, back, &images).await?;
    // A tag that is left harms nobody.
    tag_away(engine, back.tags).await.ok();
    Ok(())
}

/// The image of each service before. One that did not run counts as well, since Compose may bring it up again for another one that
/// waits for it, unless somebody has removed its image.
async fn images<'b>(
    engine: &Docker,
    before: &[(&'b str, &'b str, bool)],
) -> Result<Vec<(&'b str, &'b str)>, EngineError> {
    let mut images = BTreeMap::new();
    for (service, image, ran) in before {
        let may_count = *ran || !images.contains_key(service);
        if may_count && (*ran || engine.image(image).await?.is_some()) {
            images.insert(*service, *image);
        }
    }
    Ok(images.into_iter().collect())
}

/// How many containers each of these services had, where the file says another number: somebody has scaled it. Compose refuses
/// more than one with a name of the file's.
fn scale(
    resolved: &Resolved,
    services: &[String],
    before: &[(&str, &str, bool)],
) -> BTreeMap<String, u64> {
    let scaled = services.iter().filter_map(|service| {
        let its = before.iter().filter(|(its, _, _)| its == service);
        let containers = u64::try_from(its.count()).ok()?;
        let file = resolved.services.get(service)?;
        let may_be_scaled = containers == 1 || file.container_name.is_none();
        let is_scaled = containers != file.replicas && may_be_scaled;
        is_scaled.then(|| (service.clone(), containers))
    });
    scaled.collect()
}

/// Removes the containers of services that had none, and those of the new version's images where none ran: nothing brings
/// them up, and they would be taken for what is in place. `images` are those of the services before.
async fn remove_new(
    engine: &Docker,
    back: &Back<'_>,
    images: &[(&str, &str)],
) -> Result<(), EngineError> {
    let had = |service: &str| back.before.iter().any(|(its, _, _)| *its == service);
    // One whose old image is gone may be what a service that runs needs.
    let is_lost = |service: &str| had(service) && !images.iter().any(|(its, _)| *its == service);
    let brought = back.brought.iter().map(String::as_str);
    let brought: Vec<_> = brought.filter(|service| !is_lost(service)).collect();
    let now = containers(engine, back.name).await?;
    for new in beside(back.before, &brought, &now) {
        gone(engine.stop(&new.id, back.stop_timeout).await)?;
        gone(engine.remove(&new.id).await)?;
    }
    Ok(())
}

/// A container that is gone already need not be removed.
fn gone(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::NotFound(_)) => Ok(()),
        other => other,
    }
}
