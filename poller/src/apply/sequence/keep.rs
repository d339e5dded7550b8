//! What a service made of parts can be taken back to: held before it is replaced, given up when it is one too many.

use jiff::Timestamp;
use towline_protocol::IntentId;
use tracing::warn;

use super::{archive, checkout::Tree, drive::Drive};
use crate::{
    apply::ApplyError,
    docker::EngineError,
    sequence::{Ending, Sequence},
    store::{KeptRevision, Running, Store},
};

/// Keeps what is to be replaced, before anything is touched; `running` is what the last deploy that took effect had
/// brought.
pub(super) async fn remember(
    with: &Drive<'_>,
    store: &mut Store,
    sequence: &Sequence,
    running: Option<&Running>,
) -> Result<(), ApplyError> {
    let before = &sequence.before;
    let Some(version) = &before.old_version else {
        return Ok(());
    };
    if let (Some(tree), Some(at)) = (Tree::of(&sequence.parts, with.host), &before.checkout) {
        let held = tree.keep(with, &at.commit).await;
        held.map_err(|error| EngineError::Unexpected(error.to_string()))?;
    }
    let brought = running.filter(|running| running.version().as_ref() == Some(version));
    let kept = KeptRevision {
        version: version.clone(),
        revision: before.old.clone(),
        images: Vec::new(),
        intent: brought.and_then(|running| running.intent.clone()),
        since: brought.map(|running| running.since),
        until: Timestamp::now(),
    };
    Ok(store.keep_revision(&with.entry.service, &kept)?)
}

/// Gives up, after a success, what nobody goes back to. What cannot be given up is only kept longer, as is everything of a
/// service that the host's file does not name any more.
pub(super) async fn tidy(
    with: &Drive<'_>,
    store: &mut Store,
    sequence: &Sequence,
    intent: Option<&IntentId>,
) {
    let succeeded = matches!(sequence.ending(), Some(Ending::Succeeded { .. }));
    let (Some(service), true) = (with.service, succeeded) else {
        return;
    };
    archive::prune(with, sequence);
    let Some(version) = &sequence.before.new_version else {
        return;
    };
    let current = KeptRevision {
        version: version.clone(),
        revision: sequence.before.new.clone(),
        images: Vec::new(),
        intent: intent.cloned(),
        since: None,
        until: Timestamp::now(),
    };
    let name = &with.entry.service;
    let Ok(forgotten) = store.forget_revisions(name, service.keep, &current) else {
        return;
    };
    let Some(tree) = Tree::of(&sequence.parts, with.host) else {
        return;
    };
    for sha in &forgotten.commits {
        if let Err(error) = tree.forget(with, sha).await {
            warn!(service = %name, "commit {} stays held: {error}", sha.short());
        }
    }
}
