//! Backups of a service's data: made before a deploy changes anything, listed, pruned, restored.
//!
//! Each is one `.tar.gz` in `STATE/backups/SERVICE/`, for its owner alone. Guarantees: a file with a backup's name is
//! whole and on the disk, because it is written aside and renamed; what is restored was read to its end first and is put
//! together beside the data, on the same file system, and then exchanged for it, so that a crash leaves the old data or
//! the new, whole. Making and restoring may be repeated. Symbolic links are kept as links and never followed, except in
//! the names of the paths themselves. Not kept: extended attributes, sockets, pipes and devices, which is noted; times
//! below a second; how sparse a file was exactly. Not guaranteed: that files which are written meanwhile fit together, for
//! which the service is stopped.
//!
//! `place` is where the paths are, `walk` goes through them, `pack` writes an archive, `check` reads one to its end,
//! `unpack` puts its content beside the data, `exchange` changes the two. Not here: when that is to be done (`sequence`).

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use towline_protocol::{ServiceName, Sha};

mod check;
mod create;
mod end;
mod error;
mod exchange;
mod manifest;
mod name;
mod note;
mod pack;
mod place;
mod restore;
#[cfg(test)]
mod tests;
mod unpack;
mod walk;

pub use error::BackupError;
pub use manifest::{Manifest, Stored};
pub use name::{BackupName, NoBackupName};

use error::cannot;

/// What a backup is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// The deploy.
    pub deploy: String,
    /// When.
    pub at: Timestamp,
    /// The commit that the data belong to, where it is known.
    pub sha: Option<Sha>,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The archive.
    pub archive: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many files, folders and links are in it.
    pub entries: u64,
    /// What is not in it as it was, for people.
    pub notes: Vec<String>,
}

/// A backup that is there.
#[derive(Debug)]
pub struct Kept {
    /// Its name.
    pub name: BackupName,
    /// Its size in bytes.
    pub bytes: u64,
    /// What it says of itself, or why that cannot be read or its end is missing. What is wrong in its middle only reading all
    /// of it tells.
    pub manifest: Result<Manifest, BackupError>,
}

/// What becomes of the data that were in the place of restored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// They are removed when all is restored.
    Removed,
    /// They stay beside, as `PATH.before-restore-DEPLOY`, or `-DEPLOY-2` and so on where that is taken: a restoring that
    /// keeps them is never a repeated one.
    Kept,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The paths.
    pub paths: Vec<PathBuf>,
    /// Where what they held before is now, when that is kept.
    pub aside: Vec<PathBuf>,
    /// What is not as it was, for people.
    pub notes: Vec<String>,
}

/// The backups of one service.
#[derive(Clone, Debug)]
pub struct Shelf {
    service: ServiceName,
    state: PathBuf,
}

impl Shelf {
    /// The backups of `service` in the state directory `state`.
    pub fn of(state: &Path, service: ServiceName) -> Self {
        let state = state.to_owned();
        Self { service, state }
    }

    /// The services of which there may be backups in the state directory `state`, by their names.
    ///
    /// # Errors
    /// When the folder of all backups cannot be read; one that is not there is empty.
    pub fn all(state: &Path) -> Result<Vec<Self>, BackupError> {
        let folder = state.join("backups");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(cannot("read", &folder))?,
        };
        let mut services = Vec::new();
        for entry in entries {
            let name = entry.map_err(cannot("read", &folder))?.file_name();
            if let Some(Ok(service)) = name.to_str().map(str::parse::<ServiceName>) {
                services.push(service);
            }
        }
        services.sort_unstable();
        let shelf = |service| Self::of(state, service);
        Ok(services.into_iter().map(shelf).collect())
    }

    /// The state directory that they are in.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The service.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The folder that they are in.
    pub fn folder(&self) -> PathBuf {
        self.state.join("backups").join(self.service.as_str())
    }

    /// The archive called `name`.
    pub fn archive(&self, name: &BackupName) -> PathBuf {
        self.folder().join(name.as_str())
    }

    /// Looks, before anything is touched, whether `paths` can be backed up: they are there and apart from each other and
    /// from towline's own state, can be read, and there is room. With `will_restore` also whether they can be replaced. The
    /// state directory need not be there yet.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn ready(&self, paths: &[PathBuf], will_restore: bool) -> Result<(), BackupError> {
        let (shelf, paths) = (self.clone(), paths.to_vec());
        aside(move |halt| create::ready(&shelf, &paths, will_restore, halt)).await
    }

    /// How many bytes a backup of `paths` takes at most.
    ///
    /// # Errors
    /// When a path is not there or cannot be read.
    pub async fn measured(&self, paths: &[PathBuf]) -> Result<u64, BackupError> {
        let (shelf, paths) = (self.clone(), paths.to_vec());
        aside(move |halt| create::measured(&shelf, &paths, halt)).await
    }

    /// Makes the backup `name` of `paths`. May be repeated: what the same deploy has made whole before stays as it is.
    /// Given up when the future is dropped.
    ///
    /// # Errors
    /// When a path is not there or cannot be read, or the disk is full; then there is none of that name.
    pub async fn create(
        &self,
        name: &BackupName,
        occasion: &Occasion,
        paths: &[PathBuf],
    ) -> Result<Made, BackupError> {
        let (shelf, name) = (self.clone(), name.clone());
        let (occasion, paths) = (occasion.clone(), paths.to_vec());
        aside(move |halt| create::create(&shelf, &name, &occasion, &paths, halt)).await
    }

    /// Restores the backup `name` to where its paths were, which must be among `paths`. May be repeated with the same
    /// `deploy`, 8 hex digits or what else is good for a file name: what an interrupted try has left is found and finished
    /// or removed, and so is what one for another deploy has left. When the future is dropped, it is given up before the
    /// first path was exchanged, and goes on to its end after that.
    ///
    /// # Errors
    /// When the backup is not there, damaged, another service's or of other paths, or the disk is full: then nothing was
    /// changed.
    pub async fn restore(
        &self,
        name: &BackupName,
        paths: &[PathBuf],
        deploy: &str,
        replaced: Replaced,
    ) -> Result<Restored, BackupError> {
        let (shelf, name) = (self.clone(), name.clone());
        let (paths, deploy) = (paths.to_vec(), deploy.to_owned());
        aside(move |halt| restore::restore(&shelf, &name, &paths, &deploy, replaced, halt)).await
    }

    /// Looks whether the backup `name` is there.
    ///
    /// # Errors
    /// When it is not, or that cannot be seen.
    pub fn known(&self, name: &BackupName) -> Result<(), BackupError> {
        let archive = self.archive(name);
        if archive.try_exists().map_err(cannot("read", &archive))? {
            return Ok(());
        }
        let (name, service) = (name.to_string(), self.service.clone());
        Err(BackupError::Unknown { name, service })
    }

    /// Looks, before anything is stopped, whether the backup `name` can be restored to `paths`; it is read to its end.
    ///
    /// # Errors
    /// As for [`Self::restore`].
    pub async fn restorable(
        &self,
        name: &BackupName,
        paths: &[PathBuf],
    ) -> Result<(), BackupError> {
        let (shelf, name, paths) = (self.clone(), name.clone(), paths.to_vec());
        aside(move |halt| restore::restorable(&shelf, &name, &paths, halt).map(drop)).await
    }

    /// What is there, the newest first, each with what it says of itself.
    ///
    /// # Errors
    /// When the folder cannot be read; one that is not there is empty.
    pub fn list(&self) -> Result<Vec<Kept>, BackupError> {
        let mut kept = Vec::new();
        for name in self.names()? {
            let archive = self.archive(&name);
            // One that is pruned meanwhile is no trouble.
            if let Ok(meta) = fs::symlink_metadata(&archive) {
                let manifest = check::manifest_of(&archive);
                let manifest = manifest.and_then(|it| end::has_end(&archive).map(|()| it));
                let bytes = meta.len();
                kept.push(Kept {
                    name,
                    bytes,
                    manifest,
                });
            }
        }
        Ok(kept)
    }

    /// The names of what is there, the newest first. Other files in the folder are passed over.
    ///
    /// # Errors
    /// When the folder cannot be read; one that is not there is empty.
    pub fn names(&self) -> Result<Vec<BackupName>, BackupError> {
        let folder = self.folder();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(cannot("read", &folder))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(cannot("read", &folder))?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let name = entry.file_name();
            if let Some(Ok(name)) = name.to_str().map(str::parse)
                && is_file
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        names.reverse();
        Ok(names)
    }

    /// Removes what is older than the newest `keep`, of which one that was cut off is none, and never `held`; returns what was
    /// removed.
    ///
    /// # Errors
    /// When one cannot be removed; those before it are gone.
    pub fn prune(
        &self,
        keep: u32,
        held: Option<&BackupName>,
    ) -> Result<Vec<BackupName>, BackupError> {
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let mut whole = 0_usize;
        let mut is_old = |name: &BackupName| {
            let is_old = whole >= keep;
            whole += usize::from(!is_old && end::has_end(&self.archive(name)).is_ok());
            is_old
        };
        let old = self.names()?.into_iter().filter(|name| is_old(name));
        let old: Vec<_> = old.filter(|name| Some(name) != held).collect();
        for name in &old {
            self.remove(name)?;
        }
        Ok(old)
    }

    /// Removes the backup `name`, if it is there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &BackupName) -> Result<(), BackupError> {
        let archive = self.archive(name);
        match fs::remove_file(&archive) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map_err(cannot("remove", &archive)),
        }
    }
}

/// Does `work` on a thread of its own, and tells it to halt when nobody waits for it any more.
async fn aside<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    struct HaltOnDrop(Arc<AtomicBool>);
    impl Drop for HaltOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let halt = Arc::new(AtomicBool::new(false));
    let _halt = HaltOnDrop(Arc::clone(&halt));
    let done = tokio::task::spawn_blocking(move || work(&halt)).await;
    // It only fails when the work panicked or the runtime ends.
    done.unwrap_or(Err(BackupError::Halted))
}

/// A number of bytes for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match bytes {
        0..1024 => format!("{bytes} B"),
        _ => format!("{value:.1} {}", UNITS.get(unit).unwrap_or(&"TiB")),
    }
}
