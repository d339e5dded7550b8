//! Restoring a backup: read to its end, put together beside the data, exchanged.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    BackupError, BackupName, Manifest, Replaced, Restored, Shelf,
    check::check,
    create::Disks,
    error::cannot,
    exchange::{Site, Way},
    note::Notes,
    place::{Folder, Place, replaceable},
    unpack::unpack,
};

/// See [`Shelf::restore`].
pub(super) fn restore(
    shelf: &Shelf,
    name: &BackupName,
    paths: &[PathBuf],
    deploy: &str,
    replaced: Replaced,
    halt: &AtomicBool,
) -> Result<Restored, BackupError> {
    let Restorable {
        archive,
        places,
        needed,
    } = restorable(shelf, name, paths, halt)?;
    let sites = match replaced {
        Replaced::Removed => settled(&places, deploy)?,
        Replaced::Kept => settled_anew(&places, deploy)?,
    };
    let mut notes = Notes::default();
    have_room(&places, &needed, &|index| !is_done(&sites, index))?;
    exchange(&archive, &sites, halt, &mut notes)?;
    let sites: Vec<_> = sites.into_iter().map(|(site, _)| site).collect();
    if replaced == Replaced::Removed {
        // The data are back: what is left of the others only takes room.
        for error in sites.iter().filter_map(|site| site.remove_aside().err()) {
            notes.add(format!("{error}; remove it by hand"));
        }
    }
    Ok(Restored {
        paths: paths_of(&places),
        aside: sites.iter().filter_map(Site::aside).collect(),
        notes: notes.told(),
    })
}

/// A backup that can be restored, and what for.
pub(super) struct Restorable {
    archive: PathBuf,
    places: Vec<Place>,
    /// How many bytes each of them needs.
    needed: Vec<u64>,
}

/// See [`Shelf::restorable`].
pub(super) fn restorable(
    shelf: &Shelf,
    name: &BackupName,
    paths: &[PathBuf],
    halt: &AtomicBool,
) -> Result<Restorable, BackupError> {
    shelf.known(name)?;
    let archive = shelf.archive(name);
    let checked = check(&archive, halt)?;
    let places = belonging(shelf, &archive, checked.manifest, paths)?;
    replaceable(&places)?;
    Ok(Restorable {
        archive,
        places,
        needed: checked.needed,
    })
}

fn is_done(sites: &[(Site, bool)], index: usize) -> bool {
    sites.get(index).is_some_and(|(_, is_done)| *is_done)
}

fn paths_of(places: &[Place]) -> Vec<PathBuf> {
    places.iter().map(|place| place.path().to_owned()).collect()
}

fn settled(places: &[Place], deploy: &str) -> Result<Vec<(Site, bool)>, BackupError> {
    let settle = |place: &Place| Site::settled(place.clone(), deploy);
    places.iter().map(settle).collect()
}

/// The sites for a restoring that no earlier one has done: where one has set its old data aside by this very name, a number
/// is put behind it.
fn settled_anew(places: &[Place], deploy: &str) -> Result<Vec<(Site, bool)>, BackupError> {
    let mut sites = settled(places, deploy)?;
    let mut number = 1_u32;
    while (0..sites.len()).any(|index| is_done(&sites, index)) {
        number = number.saturating_add(1);
        sites = settled(places, &format!("{deploy}-{number}"))?;
    }
    Ok(sites)
}

/// The places of the manifest's paths, which must be this service's and where they were.
fn belonging(
    shelf: &Shelf,
    archive: &Path,
    manifest: Manifest,
    paths: &[PathBuf],
) -> Result<Vec<Place>, BackupError> {
    let foreign = |why: String| BackupError::Foreign {
        archive: archive.to_owned(),
        why,
    };
    if manifest.service != shelf.service {
        return Err(foreign(format!("it is one of {}", manifest.service)));
    }
    let mut places = Vec::new();
    for stored in manifest.paths {
        let named = stored.named.display();
        if !paths.contains(&stored.named) {
            let why = format!("it holds {named}, which the service's backup.paths do not name");
            return Err(foreign(why));
        }
        let is_elsewhere = match fs::canonicalize(&stored.named) {
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            found => found.map_err(cannot("read", &stored.named))? != stored.real,
        };
        if is_elsewhere {
            let real = stored.real.display();
            return Err(foreign(format!(
                "{named} was {real} then, and is elsewhere now"
            )));
        }
        places.push(Place::at(stored)?);
    }
    Ok(places)
}

/// Puts the data of the places that are not done yet together beside them, then exchanges one after the other.
fn exchange(
    archive: &Path,
    sites: &[(Site, bool)],
    halt: &AtomicBool,
    notes: &mut Notes,
) -> Result<(), BackupError> {
    let staged = stage(archive, sites, halt, notes).inspect_err(|_| {
        sites.iter().for_each(|(site, _)| site.clear());
    })?;
    let mut done: Vec<PathBuf> = Vec::new();
    for ((site, is_done), stage) in sites.iter().zip(&staged) {
        if let Some(stage) = stage
            && let Err(error) = site.exchange(stage, Way::AtOnce)
        {
            return Err(half(done, error));
        }
        if stage.is_some() || *is_done {
            done.push(site.path().to_owned());
        }
    }
    Ok(())
}

/// What is told when only the paths `done` have their data back.
pub(super) fn half(done: Vec<PathBuf>, error: BackupError) -> BackupError {
    if done.is_empty() {
        return error;
    }
    BackupError::Half {
        done,
        why: error.to_string(),
    }
}

fn stage(
    archive: &Path,
    sites: &[(Site, bool)],
    halt: &AtomicBool,
    notes: &mut Notes,
) -> Result<Vec<Option<Folder>>, BackupError> {
    let mut tops = Vec::new();
    let mut stages = Vec::new();
    for (site, is_done) in sites {
        let (stage, top) = match is_done {
            true => (None, None),
            false => {
                let (stage, top) = site.stage()?;
                (Some(stage), Some(top))
            }
        };
        stages.push(stage);
        tops.push(top);
    }
    if tops.iter().any(Option::is_some) {
        unpack(archive, &tops, halt, notes)?;
    }
    match halt.load(Ordering::Relaxed) {
        true => Err(BackupError::Halted),
        false => Ok(stages),
    }
}

/// Refuses what has no room beside the data, disk by disk.
fn have_room(
    places: &[Place],
    needed: &[u64],
    undone: &dyn Fn(usize) -> bool,
) -> Result<(), BackupError> {
    let mut disks = Disks::default();
    for (index, (place, bytes)) in places.iter().zip(needed).enumerate() {
        if undone(index) {
            disks.add(&place.parent, *bytes)?;
        }
    }
    disks.have_room()
}
