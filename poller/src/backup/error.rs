//! Why a backup could not be made or restored, in words for whoever reads the report.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;
use towline_protocol::ServiceName;

use super::{BackupName, size};

/// Why a backup could not be made, looked at or restored. Unless it says otherwise, nothing was changed.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The system refused.
    #[error("cannot {what} {}: {why}", path.display())]
    Io {
        /// What was to be done, for instance `read`.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why: part of the message, and therefore not its source as well.
        why: io::Error,
    },
    /// The disk has too little room.
    #[error(
        "{} has {} free and {} are needed; make room there, or name fewer paths",
        dir.display(), size(*.free), size(*.needed)
    )]
    NoRoom {
        /// A folder on that disk.
        dir: PathBuf,
        /// How many bytes are needed, with some to spare.
        needed: u64,
        /// How many bytes are free.
        free: u64,
    },
    /// A path that is to be backed up is not there.
    #[error("{} is not there, so that it cannot be backed up", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A path that can be no backup.
    #[error("{} cannot be backed up: {why}", path.display())]
    Unfit {
        /// The path.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A path that cannot be exchanged for what a backup holds.
    #[error(
        "{} cannot be replaced as a whole, because something is mounted at {}; name what is in it, or unpack the backup by hand",
        path.display(), mount.display()
    )]
    Mounted {
        /// The path.
        path: PathBuf,
        /// The mount point, the path itself or in it.
        mount: PathBuf,
    },
    /// There is no such backup.
    #[error(
        "there is no backup {name} of {service}; towline backups {service} lists what there is"
    )]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The service.
        service: ServiceName,
    },
    /// A backup of that name is there, and another deploy has made it.
    #[error("a backup {name} is there already, made by another deploy ({deploy})")]
    Taken {
        /// Its name.
        name: BackupName,
        /// The deploy that made it.
        deploy: String,
    },
    /// An archive is not what was written.
    #[error("the backup {} is damaged ({problem}); nothing was changed", archive.display())]
    Damaged {
        /// The archive.
        archive: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Some paths were exchanged, and then one could not be.
    #[error(
        "half done: {} from the backup already, with what was there before beside it (.before-restore-), and then: {why}; \
         restoring the same backup again goes on from there",
        are(done)
    )]
    Half {
        /// The paths that have the backup's data.
        done: Vec<PathBuf>,
        /// What went wrong with the next one.
        why: String,
    },
    /// An archive is not this service's, or not of these paths.
    #[error("the backup {} is not restored: {why}; nothing was changed", archive.display())]
    Foreign {
        /// The archive.
        archive: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The work was given up in the middle.
    #[error("the backup was given up in the middle")]
    Halted,
}

/// Says what was to be done when the system refused.
pub(super) fn cannot<E: Into<io::Error>>(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> BackupError + use<E> {
    let path = path.to_owned();
    move |why| {
        let why = why.into();
        if Halted::is_in(&why) {
            return BackupError::Halted;
        }
        BackupError::Io { what, path, why }
    }
}

/// How giving up goes through what only knows errors of input and output.
#[derive(Debug, Error)]
#[error("given up")]
pub(super) struct Halted;

impl Halted {
    pub(super) fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// `A is` or `A and B are`.
fn are(paths: &[PathBuf]) -> String {
    let all: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let word = if all.len() == 1 { "is" } else { "are" };
    format!("{} {word}", all.join(" and "))
}
