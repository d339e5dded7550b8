//! Whether an archive has its end, without reading all of it: what was cut off has none.
//!
//! A gzip stream ends with the size of what it holds, and an archive is made of blocks of 512 bytes. So what is cut off passes
//! for whole only once in some hundred times, and reading it to its end, as a restore does, tells every time.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::{BackupError, check::damaged, error::cannot};

/// The blocks that a tar is made of, in bytes.
const TAR_BLOCK: u32 = 512;
/// How many bytes one byte of a gzip stream stands for at most.
const MOST: u64 = 1032;

/// Looks at the end of the archive.
///
/// # Errors
/// When it has none, or cannot be read.
pub(super) fn has_end(archive: &Path) -> Result<(), BackupError> {
    let (bytes, held) = last(archive).map_err(cannot("read", archive))?;
    let is_whole = held.is_some_and(|held| {
        held > 0 && held % TAR_BLOCK == 0 && u64::from(held) <= bytes.saturating_mul(MOST)
    });
    match is_whole {
        true => Ok(()),
        false => Err(damaged(archive, "its end is missing")),
    }
}

/// The size of the archive, and what its last bytes say that it holds, modulo 2^32; `None` where it has none.
fn last(archive: &Path) -> io::Result<(u64, Option<u32>)> {
    let mut file = File::open(archive)?;
    let mut held = [0; 4];
    let bytes = file.metadata()?.len();
    let Some(at) = bytes.checked_sub(held.len() as u64) else {
        return Ok((bytes, None));
    };
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut held)?;
    Ok((bytes, Some(u32::from_le_bytes(held))))
}
