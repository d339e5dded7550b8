//! Going back on purpose to a revision that is kept: forth through the same steps as a deploy, with what this host has. No
//! relay, registry or git remote is asked.

use std::{pin::pin, time::Instant};

use jiff::Timestamp;
use towline_protocol::Side;

use super::{
    super::{Applied, ApplyError, Progress, StepClock},
    Host, archive, begin,
    checkout::{self, Tree},
    drive::Drive,
    ground::Ground,
    keep::NotKept,
    prepare::{Halt, Known, look, refuse},
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

/// What the service is at, if that is known: not after an end of which nobody knows what it has left.
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
    if known.is_unsure {
        return Ok(None);
    }
    match Tree::of(parts, host).filter(|_| parts.compose.is_none()) {
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
    let sequence = prepare(host, way, &entry.deploy, &known, &shelf).await?;
    let (ground, clock) = (Ground::of(way.parts), StepClock::default());
    let mut with = Drive::new(host, Some(way.service), entry, ground, shelf, clock);
    with.channel = Some(way.service.rule.channel.clone());
    let running = known.running.as_ref();
    let end = begin(with, store, sequence, running, pin!(leave), tell)
        .await
        .map_err(NotKept::into_error)?;
    Ok(end.applied(begun.elapsed()))
}

/// Finds out what is to be known before, and whether anything is against it.
async fn prepare(
    host: Host<'_>,
    way: WayBack<'_>,
    deploy: &str,
    known: &Known,
    shelf: &Shelf,
) -> Result<Sequence, Halt> {
    let WayBack { service, parts, to } = way;
    let mut before = known.before(to.revision.clone(), Some(to.version.clone()));
    if let (Some(tree), Some(sha)) = (Tree::of(parts, host), &to.revision.sha) {
        tree.has(sha).await?;
        let at = tree.ready(sha).await?;
        checkout::note(&mut before, parts, at);
    }
    if parts.compose.is_some() {
        let why = "a Compose project cannot be taken back on purpose yet; deploy the earlier commit or image";
        return refuse(why.to_owned());
    }
    before.was_healthy = look(host, service, parts, &before).await?;
    archive::plan(shelf, parts, &mut before, Timestamp::now()).await?;
    let from = known.from(&before);
    let side = Side {
        sha: before.new.sha.clone(),
        digest: None,
    };
    let deploy = deploy.to_owned();
    Ok(Sequence::new(deploy, parts.clone(), before, from, side))
}

impl From<Halt> for ApplyError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Later(error) => error,
            Halt::Over(_, why)
            | Halt::Unfit(why)
            | Halt::NoImage(_, why)
            | Halt::Held(why)
            | Halt::NoCommit(why)
            | Halt::Wait { message: why, .. } => Self::Unfit(why),
        }
    }
}
