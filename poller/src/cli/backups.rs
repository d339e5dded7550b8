//! `towline backups`: what is there, by the files alone.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use towline_protocol::{ServiceName, Sha};

use super::{ask, known, say, table};
use crate::{
    backup::{BackupName, Kept, Shelf},
    exit::Ending,
};

/// The number of the shape of `--json`. Members may be added, what is there keeps its name and meaning.
const FORMAT: u32 = 1;

/// What `towline backups --json` prints.
#[derive(Debug, Serialize)]
struct Listing {
    format: u32,
    /// By service, the newest first.
    backups: Vec<Row>,
}

/// A backup.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) service: ServiceName,
    pub(super) name: BackupName,
    pub(super) at: Timestamp,
    /// The size of the archive.
    pub(super) bytes: u64,
    /// The commit that the data belong to, where it is known.
    pub(super) sha: Option<Sha>,
    /// The deploy that it was made before.
    pub(super) deploy: Option<String>,
    /// What is in it, as the host's file named it.
    pub(super) paths: Vec<PathBuf>,
    /// Why it cannot be restored, as far as its beginning and its end tell.
    pub(super) trouble: Option<String>,
}

/// Prints the backups of `service`, or all. `config` is the host's file, which is read only for a service that has none.
pub(super) fn backups(
    state: &Path,
    config: &Path,
    service: Option<&ServiceName>,
    json: bool,
) -> anyhow::Result<Ending> {
    let shelves = match service {
        Some(service) => vec![Shelf::of(state, service.clone())],
        None => Shelf::all(state)?,
    };
    let mut backups = Vec::new();
    for shelf in shelves {
        let kept = shelf.list()?.into_iter();
        backups.extend(kept.map(|kept| row(shelf.service().clone(), kept)));
    }
    if let Some(service) = service.filter(|_| backups.is_empty()) {
        let all = Shelf::all(state)?;
        let all = all.iter().map(|shelf| shelf.service().clone());
        known::known(service, config, &all.collect())?;
    }
    if json {
        ask::print_json(&Listing {
            format: FORMAT,
            backups,
        })?;
    } else {
        say(&table::backups(&backups, table::width()))?;
    }
    Ok(Ending::Done)
}

fn row(service: ServiceName, kept: Kept) -> Row {
    let Kept {
        name,
        bytes,
        manifest,
    } = kept;
    let (manifest, trouble) = match manifest {
        Ok(manifest) => (Some(manifest), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let at = manifest
        .as_ref()
        .map_or_else(|| name.at(), |manifest| manifest.at);
    let (sha, deploy, paths) = match manifest {
        Some(manifest) => (manifest.sha, Some(manifest.deploy), manifest.paths),
        None => (None, None, Vec::new()),
    };
    Row {
        service,
        name,
        at,
        bytes,
        sha,
        deploy,
        paths: paths.into_iter().map(|stored| stored.named).collect(),
        trouble,
    }
}
