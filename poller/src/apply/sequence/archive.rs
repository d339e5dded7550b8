//! The backup of a service: whether it can be made, made, put back, and given up when it is old.

use jiff::Timestamp;
use towline_protocol::{Outcome, ServiceName};
use tracing::{info, warn};

use super::{drive::Drive, halt::Halt};
use crate::{
    backup::{BackupError, BackupName, Occasion, Replaced, Shelf, size},
    sequence::{Before, Ending, Event, Sequence},
    settings::Parts,
    store::Store,
};

/// Looks whether the backup can be made, and gives it its name.
pub(super) async fn plan(
    shelf: &Shelf,
    parts: &Parts,
    before: &mut Before,
    now: Timestamp,
) -> Result<(), Halt> {
    let Some(backup) = &parts.backup else {
        return Ok(());
    };
    let ready = shelf.ready(&backup.paths, backup.restore).await;
    ready.map_err(untouched)?;
    let taken = shelf.names().map_err(untouched)?;
    let name = BackupName::free(&taken, now, before.old.sha.as_ref());
    before.backup = Some(name.as_str().to_owned());
    Ok(())
}

/// The same for a plan; says how large it may be.
pub(super) async fn foresee(
    shelf: &Shelf,
    parts: &Parts,
    before: &mut Before,
    now: Timestamp,
) -> Result<Option<u64>, Halt> {
    let Some(backup) = &parts.backup else {
        return Ok(None);
    };
    plan(shelf, parts, before, now).await?;
    let bytes = shelf.measured(&backup.paths).await;
    bytes.map(Some).map_err(untouched)
}

fn untouched(error: BackupError) -> Halt {
    Halt::Over(Outcome::FailedUntouched, format!("backup: {error}"))
}

/// Where the backups of a service are.
pub(super) fn shelf(store: &Store, service: &ServiceName) -> Shelf {
    Shelf::of(store.dir(), service.clone())
}

/// Makes the backup.
pub(super) async fn make(with: &Drive<'_>, sequence: &Sequence, name: &str) -> Event {
    event(made(with, sequence, name).await)
}

async fn made(with: &Drive<'_>, sequence: &Sequence, name: &str) -> Result<(), String> {
    let name: BackupName = name.parse().map_err(|error| format!("{error}"))?;
    let occasion = Occasion {
        deploy: sequence.deploy.clone(),
        at: name.at(),
        sha: sequence.before.old.sha.clone(),
    };
    let backup = sequence.parts.backup.as_ref();
    let paths = backup.map(|backup| backup.paths.as_slice());
    let made = with
        .shelf
        .create(&name, &occasion, paths.unwrap_or_default());
    let made = made.await.map_err(|error| error.to_string())?;
    let service = &with.entry.service;
    info!(%service, "backup: {} entries, {}", made.entries, size(made.bytes));
    tell(service, &made.notes);
    Ok(())
}

/// Puts the data of the backup back.
pub(super) async fn put_back(with: &Drive<'_>, sequence: &Sequence, name: &str) -> Event {
    event(restored(with, sequence, name).await)
}

async fn restored(with: &Drive<'_>, sequence: &Sequence, name: &str) -> Result<(), String> {
    let name: BackupName = name.parse().map_err(|error| format!("{error}"))?;
    let backup = sequence.parts.backup.as_ref();
    let paths = backup.map(|backup| backup.paths.as_slice());
    let (paths, deploy) = (paths.unwrap_or_default(), &sequence.deploy);
    let restored = with.shelf.restore(&name, paths, deploy, Replaced::Removed);
    let restored = restored
        .await
        .map_err(|error: BackupError| error.to_string())?;
    tell(&with.entry.service, &restored.notes);
    Ok(())
}

/// Gives up all but the newest backups and the one of this deploy, which an interruption may yet ask for; none when an
/// operator is needed, who may want each. What cannot be removed is only kept longer.
pub(super) fn prune(with: &Drive<'_>, sequence: &Sequence) {
    let Some(backup) = &sequence.parts.backup else {
        return;
    };
    if let Some(Ending::NeedsOperator { .. }) | None = sequence.ending() {
        return;
    }
    let own = sequence.before.backup.as_ref();
    let own = own.and_then(|name| name.parse().ok());
    if let Err(error) = with.shelf.prune(backup.keep, own.as_ref()) {
        warn!(service = %with.entry.service, "backup: {error}");
    }
}

fn tell(service: &ServiceName, notes: &[String]) {
    for note in notes {
        info!(%service, "backup: {note}");
    }
}

fn event(done: Result<(), String>) -> Event {
    match done {
        Ok(()) => Event::Done,
        Err(why) => Event::Failed { why },
    }
}
