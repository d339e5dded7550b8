//! What the poller must not forget: marks, intents, outcomes, unfinished deploys, unsent reports.
//!
//! Guarantees: what a method has written when it returns survives a power cut (SQLite, write-ahead log,
//! `synchronous=FULL`); what belongs together is one transaction; one process has the directory at a time; a row that
//! is damaged, or was written by a newer version, is an error that names it and changes nothing. Not guaranteed:
//! anything when the disk lies about a sync; that a log which lost its end is told from one that a power cut has ended.
//!
//! A state of an older version is brought to this one's layout when it is opened, in one transaction.
//!
//! `file` opens the database, `copied` a copy of it for a look, `row` seals single rows, `inbox` keeps marks, intents and how they stand, `journal` the
//! deploys under way, `spool` the reports, `history` what has ended, `versions` and `revisions` what a service can be taken back to,
//! `quarantine` what is not tried again, `locks` what holds deploys off, `leftover` what is still to be removed; `known` puts
//! together what a choice for a service needs. `db` is the open database, which `locks` can use while a deploy has the rest.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};
use thiserror::Error;

mod copied;
mod db;
mod file;
mod history;
mod inbox;
mod journal;
mod known;
mod leftover;
mod locks;
mod quarantine;
mod revisions;
pub(crate) mod row;
mod running;
mod spool;
pub(crate) mod versions;

use db::Db;

pub use copied::Copied;
pub use history::{Cause, CauseKind, HISTORY, Past};
pub use inbox::{Standing, Tries};
pub use journal::{End, HoldChange, JournalEntry, OnPurpose};
pub use known::Known;
pub use locks::Locks;
pub use quarantine::{Hold, Quarantined};
pub use revisions::{Forgotten, KeptImage, KeptRevision};
pub use running::{Running, Unwell};
pub use spool::Spooled;
pub use versions::Version;

/// How often a lock that somebody has is tried, and the pause in between.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The tables' layout, in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = SCHEMA.len() as i64;

/// What each version of the layout adds to the one before it, from version 1 on.
const SCHEMA: [&str; 5] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5];

const VERSION_1: &str = "
    CREATE TABLE mark (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE intent (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE seen (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE standing (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE running (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE blocked (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE journal (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE spool (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        parked TEXT,
        row BLOB NOT NULL
    );
";

const VERSION_2: &str = "
    CREATE TABLE quarantine (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE hold (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE version (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        service TEXT NOT NULL,
        row BLOB NOT NULL
    );
    CREATE INDEX history_of_service ON history (service, id);
";

const VERSION_3: &str = "
    CREATE TABLE leftover (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
";

const VERSION_4: &str = "
    CREATE TABLE revision (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
";

const VERSION_5: &str = "
    CREATE TABLE lock (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
";

/// Why the state could not be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The directory or a file in it cannot be used.
    #[error("cannot keep state in {}: {why} (see --state-dir)", path.display())]
    Io {
        /// What could not be used.
        path: PathBuf,
        /// Why: part of the message, and therefore not its source as well.
        why: io::Error,
    },
    /// Another process has the directory.
    #[error("{} is in use by another towline process; stop that one first (is the service running?)", dir.display())]
    Locked {
        /// The state directory.
        dir: PathBuf,
    },
    /// A newer version has written this.
    #[error(
        "{what} was written by a newer version of towline (format {found}); use that version, nothing was changed"
    )]
    Newer {
        /// The file or row.
        what: String,
        /// The format's number.
        found: i64,
    },
    /// The file or a row is not what was written.
    #[error(
        "{what} is damaged ({problem}); nothing was changed. Restore state.db, or move state.db and \
         state.db-wal away to begin anew: towline then forgets which intents it has applied and starts with the newest one"
    )]
    Corrupt {
        /// The file or row.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// SQLite could not do its work, for instance because the disk is full.
    #[error("state.db: {0}")]
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt {
                what: "state.db".to_owned(),
                problem: error.to_string(),
            },
            _ => Self::Sql(error),
        }
    }
}

/// The state directory, locked and open.
#[derive(Debug)]
pub struct Store {
    db: Db,
    dir: PathBuf,
    /// By the clock.
    opened_at: Timestamp,
    /// Held for its lock, which the system releases when the process ends.
    _lock: File,
}

impl Store {
    /// Opens the state in `dir`, which is made (mode 0700) if it is not there.
    ///
    /// # Errors
    /// When another process has it, or it is damaged or newer, or the file system refuses.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |why| StoreError::Io { path, why }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io(dir))?;
        let lock = private_file(&dir.join("lock")).map_err(io(&dir.join("lock")))?;
        match locked(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    dir: dir.to_owned(),
                });
            }
            Err(TryLockError::Error(why)) => return Err(io(dir)(why)),
        }
        let db = Db::of(file::open(dir)?);
        Ok(Self {
            db,
            dir: dir.to_owned(),
            opened_at: Timestamp::now(),
            _lock: lock,
        })
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A number that grows with each row that this process writes.
    pub fn changes(&self) -> u64 {
        self.db.total_changes()
    }
}

#[cfg(test)]
impl Store {
    /// Changes the database past the methods: makes the disk refuse, for instance.
    pub(crate) fn tamper(&self, sql: &str) {
        self.db.execute_batch(sql).unwrap();
    }
}

/// Takes the lock. It is tried for a moment: a process that is just ending still has it, and so does a command that
/// its last holder has just forked.
fn locked(lock: &File) -> Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    lock.try_lock()
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Sets SQLite up and looks whether the database is whole; returns the version of its layout.
fn prepare(db: &Connection) -> Result<i64, StoreError> {
    db.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -256;
         PRAGMA journal_size_limit = 1048576;
         PRAGMA trusted_schema = OFF;",
    )?;
    let check: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(StoreError::Corrupt {
            what: "state.db".to_owned(),
            problem: check,
        });
    }
    Ok(db.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Brings the layout from version `found` to this one's.
fn migrate(db: &mut Connection, found: i64) -> Result<(), StoreError> {
    let missing = usize::try_from(found)
        .ok()
        .and_then(|found| SCHEMA.get(found..));
    let Some(missing) = missing else {
        return Err(StoreError::Newer {
            what: "state.db".to_owned(),
            found,
        });
    };
    if !missing.is_empty() {
        let tx = db.transaction()?;
        for version in missing {
            tx.execute_batch(version)?;
        }
        tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        tx.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
