//! A look at the state that changes nothing, also while another process has it: a copy of its files is opened, and removed
//! afterwards.
//!
//! Guarantees: the copy is for its owner alone, and of files that nobody has written to meanwhile.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process, thread,
};

use super::{LOCK_PAUSE, LOCK_TRIES, Store, StoreError};

/// What the state consists of.
const FILES: [&str; 2] = ["state.db", "state.db-wal"];

/// The state as it was at one time.
#[derive(Debug)]
pub struct Copied {
    store: Store,
    _folder: Folder,
}

/// A folder that is removed in the end.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays of it is for nobody else to read.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Copied {
    /// Copies the state in `dir`; where there is none yet, it is an empty one.
    ///
    /// # Errors
    /// When it cannot be read or copied, is damaged or newer, or is being written to all the time.
    pub fn of(dir: &Path) -> Result<Self, StoreError> {
        let folder = scratch()?;
        let failed = |why| StoreError::Io {
            path: dir.to_owned(),
            why,
        };
        for _ in 0..LOCK_TRIES {
            let before = stamps(dir).map_err(failed)?;
            copy(dir, &folder.0).map_err(failed)?;
            if stamps(dir).map_err(failed)? == before {
                let store = Store::open(&folder.0)?;
                return Ok(Self {
                    store,
                    _folder: folder,
                });
            }
            thread::sleep(LOCK_PAUSE);
        }
        let why =
            "it is being written to all the time; try again when the deploy under way has ended";
        Err(failed(io::Error::other(why)))
    }

    /// The state. What is written to it is lost.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// A new folder for its owner alone, where temporary files go.
fn scratch() -> Result<Folder, StoreError> {
    let nanos = jiff::Timestamp::now().as_nanosecond();
    let path = std::env::temp_dir().join(format!("towline-{}-{nanos}", process::id()));
    match DirBuilder::new().mode(0o700).create(&path) {
        Ok(()) => Ok(Folder(path)),
        Err(why) => Err(StoreError::Io { path, why }),
    }
}

/// Size, time and number of a file.
type Stamp = (u64, i64, i64, u64);

/// The stamp of each file; `None` for one that is not there.
fn stamps(dir: &Path) -> io::Result<Vec<Option<Stamp>>> {
    let stamp = |name| match fs::metadata(dir.join(name)) {
        Ok(meta) => Ok(Some((
            meta.len(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ino(),
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    FILES.into_iter().map(stamp).collect()
}

fn copy(dir: &Path, to: &Path) -> io::Result<()> {
    for name in FILES {
        match fs::copy(dir.join(name), to.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match fs::remove_file(to.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
            other => other.map(drop)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_another_process_has_is_looked_at_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let _held = Store::open(dir.path()).unwrap();
        let before = stamps(dir.path()).unwrap();
        let copied = Copied::of(dir.path()).unwrap();
        assert!(copied.store().history(None, 1).unwrap().is_empty());
        let copy = copied.store().dir().to_owned();
        assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, 0o700);
        drop(copied);
        assert!(!copy.exists());
        assert_eq!(stamps(dir.path()).unwrap(), before);
    }

    #[test]
    fn where_there_is_no_state_none_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("state");
        Copied::of(&missing).unwrap();
        assert!(!missing.exists());
    }
}
