//! Going back on purpose to a revision that is kept: forth through the same steps as a deploy, with what this host has. No
//! relay or git remote is asked, and a registry only for an image that somebody has removed here.

use std::{pin::pin, time::Instant};

use jiff::Timestamp;
use towline_protocol::Side;
use tracing::info;

use super::{
    super::{Applied, ApplyError, Progress, StepClock},
    Host, archive, begin,
    checkout::{self, Tree},
    drive::Drive,
    ground::Ground,
    halt::Halt,
    keep::NotKept,
    known::Known,
    prepare::{Way, look},
    project::Planning,
};
use crate::{
    backup::Shelf,
    sequence::Sequence,
    settings::{Parts, Service},
    store::{JournalEntry, KeptRevision, Store},
    version::VersionId,
};

/// One way back on purpose.
#[derive(Clone, Copy, Debug)]
pub struct WayBack<'a> {
    /// The service.
    pub service: &'a Service,
    /// What it is made of.
    pub parts: &'a Parts,
    /// Where it is to be again.
    pub to: &'a KeptRevision,
}

/// What the service is at, if that is known. What shows nothing of itself is not known after an end of which nobody knows what
/// it has left; a Compose project is looked at.
///
/// # Errors
/// See [`ApplyError`]; nothing was touched.
pub async fn current(
    host: Host<'_>,
    store: &Store,
    service: &Service,
    parts: &Parts,
) -> Result<Option<VersionId>, ApplyError> {
    let known = Known::of(store, &service.name, Vec::new())?;
    if let (Some(compose), Some(engine)) = (&parts.compose, host.engine) {
        let mut old = known.old;
        if let Some(tree) = Tree::of(parts, host) {
            old.sha = Some(tree.look().await?.at.commit);
        }
        let planning = Planning {
            host,
            engine,
            service,
            deploy: "",
            parts,
            compose,
            state: store.dir(),
            is_there: true,
            known: None,
        };
        let current = planning.current(&old).await;
        return Ok(current.map_err(|halt| halt.without(&Ground::of(parts).secrets))?);
    }
    if known.is_unsure {
        return Ok(None);
    }
    match Tree::of(parts, host) {
        Some(tree) => Ok(Some(VersionId::Commit(tree.look().await?.at.commit))),
        None => Ok(known.brought()),
    }
}

/// Takes a service back, to the end: the caller closes the journal, which `entry` begins, with what is returned.
///
/// # Errors
/// See [`ApplyError`]; unless it is `Interrupted` or `Left`, nothing was touched.
pub async fn go_back(
    host: Host<'_>,
    store: &mut Store,
    way: WayBack<'_>,
    entry: JournalEntry,
    leave: impl Future<Output = ()>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Applied, ApplyError> {
    let begun = Instant::now();
    let name = &way.service.name;
    let known = Known::of(store, name, Vec::new())?;
    let shelf = archive::shelf(store, name);
    let mut clock = StepClock::default();
    let ground = Ground::of(way.parts);
    let sequence = {
        let mut to_deploy = Way::Deploy {
            clock: &mut clock,
            tell: &mut *tell,
        };
        let seen = (&known, &shelf);
        let prepared = prepare(host, way, &entry.deploy, seen, &mut to_deploy).await;
        prepared.map_err(|halt| halt.without(&ground.secrets))?
    };
    let to = way.to.version.short();
    info!(service = %name, deploy = %entry.deploy, "going back to {to} on purpose");
    let mut with = Drive::new(host, Some(way.service), entry, ground, shelf, clock);
    with.channel = Some(way.service.rule.channel.clone());
    let end = begin(with, store, sequence, &known, pin!(leave), tell)
        .await
        .map_err(NotKept::into_error)?;
    Ok(end.applied(begun.elapsed()))
}

/// Finds out what is to be known before, and whether anything is against it.
async fn prepare(
    host: Host<'_>,
    way_back: WayBack<'_>,
    deploy: &str,
    (known, shelf): (&Known, &Shelf),
    way: &mut Way<'_>,
) -> Result<Sequence, Halt> {
    let WayBack { service, parts, to } = way_back;
    let mut before = known.before(service, to.revision.clone(), Some(to.version.clone()));
    let mut is_there = true;
    if let (Some(tree), Some(sha)) = (Tree::of(parts, host), &to.revision.sha) {
        tree.has(sha).await?;
        is_there = checkout::is_at(&tree.look().await?, sha);
        let at = tree.ready(sha).await?;
        checkout::note(&mut before, parts, at);
    }
    let mut digest = None;
    if let (Some(compose), Some(engine)) = (&parts.compose, host.engine) {
        let planning = Planning {
            host,
            engine,
            service,
            deploy,
            parts,
            compose,
            state: shelf.state(),
            is_there,
            known: Some(known),
        };
        digest = planning.plan_back(to, &mut before, way).await?;
    } else {
        before.was_healthy = look(host, service, parts, &before, way).await?;
    }
    archive::plan(shelf, parts, &mut before, Timestamp::now()).await?;
    let from = known.from(&before);
    let side = Side {
        sha: before.new.sha.clone(),
        digest,
    };
    let deploy = deploy.to_owned();
    Ok(Sequence::new(deploy, parts.clone(), before, from, side))
}

impl From<Halt> for ApplyError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Later(error) => error,
            Halt::Over(_, why)
            | Halt::InPlace(_, why)
            | Halt::Unfit(why)
            | Halt::NoImage(_, why)
            | Halt::Held(why)
            | Halt::NoCommit(why)
            | Halt::Wait { message: why, .. } => Self::Unfit(why),
        }
    }
}
