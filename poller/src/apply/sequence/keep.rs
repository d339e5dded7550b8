//! What a service made of parts can be taken back to: held before it is replaced, given up when it is one too many.

use jiff::Timestamp;
use tracing::warn;

use super::{archive, checkout::Tree, drive::Drive, known::Known};
use crate::{
    apply::ApplyError,
    compose::{containers, keep_running, let_go},
    docker::EngineError,
    sequence::{Ending, Sequence},
    store::{KeptImage, KeptRevision, Store},
};

/// Keeps what is to be replaced, before anything is touched. What somebody has put there by hand may be a version that is kept
/// already; else nothing is known of it but what is seen.
pub(super) async fn remember(
    with: &Drive<'_>,
    store: &mut Store,
    sequence: &Sequence,
    known: &Known,
) -> Result<(), NotKept> {
    let before = &sequence.before;
    let Some(version) = &before.old_version else {
        return Ok(());
    };
    if let (Some(tree), Some(at)) = (Tree::of(&sequence.parts, with.host), &before.checkout) {
        let held = tree.keep(with, &at.commit).await;
        held.map_err(|error| {
            let commit = at.commit.short();
            NotKept::Commit(format!(
                "the commit {commit} to go back to cannot be held: {error}"
            ))
        })?;
    }
    let images = images(with, sequence).await;
    let images = images.map_err(ApplyError::Engine)?;
    let running = known.running.as_ref();
    let brought = running.filter(|running| running.version().as_ref() == Some(version));
    let earlier = known.kept_as(version).filter(|_| brought.is_none());
    let revision = earlier.map(|earlier| earlier.revision.clone());
    let intent = match brought {
        Some(running) => running.intent.clone(),
        None => earlier.and_then(|earlier| earlier.intent.clone()),
    };
    let kept = KeptRevision {
        version: version.clone(),
        revision: revision.unwrap_or_else(|| before.old.clone()),
        images,
        intent,
        since: brought.map(|running| running.since),
        until: Timestamp::now(),
    };
    let done = store.keep_revision(&with.entry.service, &kept);
    Ok(done.map_err(ApplyError::Store)?)
}

/// Why what is to be replaced was not kept. Nothing is replaced then.
pub(super) enum NotKept {
    /// Git did not hold its commit, for this reason.
    Commit(String),
    /// See there: it is tried again.
    Apply(ApplyError),
}

impl NotKept {
    /// For who can only tell that nothing was begun.
    pub(super) fn into_error(self) -> ApplyError {
        match self {
            Self::Commit(why) => EngineError::Unexpected(why).into(),
            Self::Apply(error) => error,
        }
    }
}

impl From<ApplyError> for NotKept {
    fn from(error: ApplyError) -> Self {
        Self::Apply(error)
    }
}

/// The images that the project runs now, kept; none without a project.
async fn images(with: &Drive<'_>, sequence: &Sequence) -> Result<Vec<KeptImage>, EngineError> {
    let (Some(engine), Some(project)) = (with.engine(), &sequence.before.project) else {
        return Ok(Vec::new());
    };
    let now = containers(engine, &project.name).await?;
    keep_running(engine, &with.entry.service, &now, &project.wanted).await
}

/// What a success has brought, as it can be gone back to when somebody has replaced it by hand; `None` after any other end, and
/// where that cannot be found out.
pub(super) async fn current(with: &Drive<'_>, sequence: &Sequence) -> Option<KeptRevision> {
    if !matches!(sequence.ending(), Some(Ending::Succeeded { .. })) {
        return None;
    }
    let new = &sequence.before.new;
    let version = sequence.before.new_version.clone()?;
    let images = images(with, sequence).await.ok()?;
    if let (Some(tree), Some(sha)) = (Tree::of(&sequence.parts, with.host), &new.sha)
        && let Err(error) = tree.keep(with, sha).await
    {
        let service = &with.entry.service;
        warn!(%service, "commit {} cannot be held: {error}", sha.short());
    }
    let entry = &with.entry;
    let now = Timestamp::now();
    Some(KeptRevision {
        version,
        revision: new.clone(),
        images,
        intent: match &entry.on_purpose {
            Some(on_purpose) => on_purpose.brought.clone(),
            None => Some(entry.intent.clone()),
        },
        since: Some(now),
        until: now,
    })
}

/// Gives up the oldest backups and, after a success, what nobody goes back to when it has brought `current`. What cannot be given up
/// is only kept longer, as is everything of a service that the host's file does not name any more.
pub(super) async fn tidy(
    with: &Drive<'_>,
    store: &mut Store,
    sequence: &Sequence,
    current: Option<&KeptRevision>,
) {
    archive::prune(with, sequence);
    let (Some(service), Some(current)) = (with.service, current) else {
        return;
    };
    let name = &with.entry.service;
    let Ok(forgotten) = store.forget_revisions(name, service.keep, current) else {
        return;
    };
    if let Some(engine) = with.engine() {
        let_go(engine, &forgotten.tags).await;
    }
    let Some(tree) = Tree::of(&sequence.parts, with.host) else {
        return;
    };
    for sha in &forgotten.commits {
        if let Err(error) = tree.forget(with, sha).await {
            warn!(service = %name, "commit {} stays held: {error}", sha.short());
        }
    }
}
