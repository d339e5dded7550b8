//! Making a backup: room first, then written aside, then called by its name.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use rustix::fs::statvfs;

use super::{
    BackupError, BackupName, Made, Occasion, Shelf,
    check::{check, manifest_of},
    error::cannot,
    manifest::{FORMAT, Manifest},
    pack::pack,
    place::{Place, places, replaceable, standing},
    walk::{Found, walk},
};

/// What an entry takes in an archive beside its content, in bytes: its header and the filling of its last block.
const ENTRY: u64 = 1024;
/// What is to be left free, in bytes, and as a part of what is written.
const SPARE: u64 = 1 << 20;
const SPARE_PART: u64 = 20;

/// What is written while it is not whole yet.
const PART: &str = ".part";

/// See [`Shelf::ready`].
pub(super) fn ready(
    shelf: &Shelf,
    paths: &[PathBuf],
    will_restore: bool,
    halt: &AtomicBool,
) -> Result<(), BackupError> {
    let (places, folder) = (places(paths, &shelf.state)?, shelf.folder());
    let above = standing(&folder);
    if !above.is_dir() {
        let why = io::Error::from(ErrorKind::NotADirectory);
        return Err(cannot("keep backups in", above)(why));
    }
    if will_restore {
        replaceable(&places)?;
    }
    let mut disks = Disks::default();
    for place in &places {
        let bytes = measure(std::slice::from_ref(place), halt)?;
        disks.add(standing(&shelf.state), bytes)?;
        if will_restore {
            // What is restored is put together beside the data, while the archive has its room already.
            disks.add(&place.parent, bytes)?;
        }
    }
    disks.have_room()
}

/// What is to be written, disk by disk.
#[derive(Default)]
pub(super) struct Disks(BTreeMap<u64, (PathBuf, u64)>);

impl Disks {
    /// So many bytes more on the disk of the folder `dir`.
    pub(super) fn add(&mut self, dir: &Path, bytes: u64) -> Result<(), BackupError> {
        let disk = fs::metadata(dir).map_err(cannot("read", dir))?.dev();
        let sum = &mut self.0.entry(disk).or_insert((dir.to_owned(), 0)).1;
        *sum = sum.saturating_add(bytes);
        Ok(())
    }

    /// Refuses what has no room.
    pub(super) fn have_room(&self) -> Result<(), BackupError> {
        let mut disks = self.0.values();
        disks.try_for_each(|(dir, bytes)| has_room(dir, *bytes))
    }
}

/// See [`Shelf::measured`].
pub(super) fn measured(
    shelf: &Shelf,
    paths: &[PathBuf],
    halt: &AtomicBool,
) -> Result<u64, BackupError> {
    measure(&places(paths, &shelf.state)?, halt)
}

/// See [`Shelf::create`].
pub(super) fn create(
    shelf: &Shelf,
    name: &BackupName,
    occasion: &Occasion,
    paths: &[PathBuf],
    halt: &AtomicBool,
) -> Result<Made, BackupError> {
    let folder = shelf.folder();
    private_folder(&folder)?;
    clear(&folder)?;
    let archive = shelf.archive(name);
    if archive.try_exists().map_err(cannot("read", &archive))? {
        return made_before(archive, name, occasion, halt);
    }
    let places = places(paths, &shelf.state)?;
    has_room(&folder, measure(&places, halt)?)?;
    let manifest = Manifest {
        format: FORMAT,
        service: shelf.service.clone(),
        deploy: occasion.deploy.clone(),
        at: occasion.at,
        sha: occasion.sha.clone(),
        paths: places.iter().map(|place| place.stored.clone()).collect(),
        towline: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let part = folder.join(format!(".{name}{PART}"));
    write(&part, &archive, &manifest, &places, halt).inspect_err(|_| {
        // What failed is told, not that its rest could not be removed: the next backup removes it.
        let _ = fs::remove_file(&part);
    })
}

/// Writes the archive to `part` and renames it to `archive`.
fn write(
    part: &Path,
    archive: &Path,
    manifest: &Manifest,
    places: &[Place],
    halt: &AtomicBool,
) -> Result<Made, BackupError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let file = options.open(part).map_err(cannot("write", part))?;
    let packed = pack(file, part, manifest, places, halt)?;
    let bytes = fs::metadata(part).map_err(cannot("read", part))?.len();
    fs::rename(part, archive).map_err(cannot("rename", part))?;
    if let Some(folder) = archive.parent() {
        sync(folder)?;
    }
    Ok(Made {
        archive: archive.to_owned(),
        bytes,
        entries: packed.entries,
        notes: packed.notes.told(),
    })
}

/// What an earlier try of the same deploy has made whole.
fn made_before(
    archive: PathBuf,
    name: &BackupName,
    occasion: &Occasion,
    halt: &AtomicBool,
) -> Result<Made, BackupError> {
    let deploy = manifest_of(&archive)?.deploy;
    if deploy != occasion.deploy {
        let name = name.clone();
        return Err(BackupError::Taken { name, deploy });
    }
    let bytes = fs::metadata(&archive)
        .map_err(cannot("read", &archive))?
        .len();
    let entries = check(&archive, halt)?.entries;
    Ok(Made {
        archive,
        bytes,
        entries,
        notes: Vec::new(),
    })
}

/// How many bytes an archive of `places` takes at most.
fn measure(places: &[Place], halt: &AtomicBool) -> Result<u64, BackupError> {
    let mut bytes = 0u64;
    for place in places {
        walk(place, halt, &mut |_, meta, found| {
            // Holes become zeros, of which hardly anything is left.
            let content = match (found, meta) {
                (Found::File(_), Some(meta)) => meta.len().min(meta.blocks().saturating_mul(512)),
                _ => 0,
            };
            bytes = bytes.saturating_add(content).saturating_add(ENTRY);
            Ok(())
        })?;
    }
    Ok(bytes)
}

/// Refuses to write so many bytes to the disk of `dir` when it has no room for them.
fn has_room(dir: &Path, bytes: u64) -> Result<(), BackupError> {
    let disk = statvfs(dir).map_err(cannot("ask for the room of", dir))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = bytes
        .saturating_add(bytes / SPARE_PART)
        .saturating_add(SPARE);
    if free >= needed {
        return Ok(());
    }
    Err(BackupError::NoRoom {
        dir: dir.to_owned(),
        needed,
        free,
    })
}

/// Makes `folder`, for its owner alone, and the one that it is in.
fn private_folder(folder: &Path) -> Result<(), BackupError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(cannot("make", folder))?;
    folder.ancestors().skip(1).take(2).try_for_each(sync)
}

/// Removes what interrupted tries have left in `folder`: one backup of a service is made at a time.
fn clear(folder: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(folder).map_err(cannot("read", folder))? {
        let entry = entry.map_err(cannot("read", folder))?;
        let name = entry.file_name();
        let whole = name
            .to_str()
            .and_then(|name| name.strip_prefix('.')?.strip_suffix(PART));
        if whole.is_some_and(|name| name.parse::<BackupName>().is_ok()) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other.map_err(cannot("remove", &entry.path()))?,
            }
        }
    }
    Ok(())
}

fn sync(folder: &Path) -> Result<(), BackupError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(cannot("write", folder))
}
