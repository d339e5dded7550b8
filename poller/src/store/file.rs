//! The database's files, before SQLite looks at them: it would begin anew in an empty file, throw away the log of one
//! that is missing, and pass over a log that is none.
//!
//! Guarantees: `state.db` comes into being whole, with its tables, so that one without them is known for damaged. Not
//! here: what is in the tables (`row`).

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{StoreError, migrate, prepare, private_file};

/// What a database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// The first word of a write-ahead log; the second one says that its sums are over big-endian words.
const LOG_MAGIC: [u32; 2] = [0x377f_0682, 0x377f_0683];
/// The words that the header's own sum is over, and all of its words, the last two of which are that sum.
const SUMMED: usize = 6;
const WORDS: usize = 8;

/// Opens the database in `dir`, or makes it where there is none.
pub(super) fn open(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join("state.db");
    let log_path = dir.join("state.db-wal");
    let log = beginning(&log_path).map_err(at(&log_path))?;
    match beginning(&path).map_err(at(&path))? {
        None if log.is_none() => begin(dir, &path)?,
        None => return Err(damaged("it is missing, and its log state.db-wal is there")),
        Some(found) if found.is_empty() => return Err(damaged("it is empty")),
        Some(found) if !found.starts_with(MAGIC) => return Err(damaged("it is no database")),
        Some(_) if log.is_some_and(|log| !is_sound(&log)) => {
            return Err(damaged("its log state.db-wal does not begin like one"));
        }
        Some(_) => {}
    }
    let mut db = Connection::open(&path)?;
    match prepare(&db)? {
        0 => Err(damaged("it has no tables")),
        found => {
            migrate(&mut db, found)?;
            Ok(db)
        }
    }
}

/// Makes a database with its tables under another name first.
fn begin(dir: &Path, path: &Path) -> Result<(), StoreError> {
    let new = dir.join("state.db.new");
    for rest in [&new, &dir.join("state.db.new-wal")] {
        match fs::remove_file(rest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(rest)(error)),
            Ok(()) | Err(_) => {}
        }
    }
    // The journal holds containers' environments, so that the file is for its owner only; SQLite gives its log the
    // same mode.
    private_file(&new).map_err(at(&new))?;
    let mut db = Connection::open(&new)?;
    prepare(&db)?;
    migrate(&mut db, 0)?;
    // What a full disk kept in the log would be lost with the new name, and closing does not tell.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    db.close().map_err(|(_, error)| error)?;
    fs::rename(&new, path).map_err(at(path))?;
    let named = File::open(dir).and_then(|dir| dir.sync_all());
    named.map_err(at(dir))
}

/// A file's first bytes, as many as the header of a log has; `None` where there is no file.
fn beginning(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(4 * WORDS as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Whether a log begins like this (sqlite.org/fileformat2.html, "WAL File Format"). A power cut may leave one whose
/// header never reached the disk: it reads as zeros, and nothing was committed with it.
fn is_sound(log: &[u8]) -> bool {
    if log.iter().all(|byte| *byte == 0) {
        return true;
    }
    let (words, _) = log.as_chunks::<4>();
    let [magic, .., first, second] = words else {
        return false;
    };
    let is_big = u32::from_be_bytes(*magic) == LOG_MAGIC[1];
    let word = |bytes: &[u8; 4]| match is_big {
        true => u32::from_be_bytes(*bytes),
        false => u32::from_le_bytes(*bytes),
    };
    let mut sum = (0u32, 0u32);
    let (pairs, _) = words.as_chunks::<2>();
    for [one, two] in pairs.iter().take(SUMMED / 2) {
        sum.0 = sum.0.wrapping_add(word(one)).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(two)).wrapping_add(sum.0);
    }
    words.len() == WORDS
        && LOG_MAGIC.contains(&u32::from_be_bytes(*magic))
        && sum == (u32::from_be_bytes(*first), u32::from_be_bytes(*second))
}

fn damaged(problem: &str) -> StoreError {
    StoreError::Corrupt {
        what: "state.db".to_owned(),
        problem: problem.to_owned(),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path: PathBuf = path.to_owned();
    move |why| StoreError::Io { path, why }
}
