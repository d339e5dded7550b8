//! Putting the content of an archive together in folders that only towline may enter, with owners, modes and times as they
//! were.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use rustix::fs::{AtFlags, CWD, Gid, Timespec, Timestamps, Uid, chownat, utimensat};

use super::{
    BackupError,
    check::{self, Kind, Piece},
    error::cannot,
    note::Notes,
};

/// Unpacks the archive: what belongs to the manifest's path `n` to `tops[n]`, which is not there yet. Places without a
/// top are passed over.
pub(super) fn unpack(
    archive: &Path,
    tops: &[Option<PathBuf>],
    halt: &AtomicBool,
    notes: &mut Notes,
) -> Result<(), BackupError> {
    let mut open: Vec<(PathBuf, Piece)> = Vec::new();
    check::each(archive, halt, &mut |manifest, piece, content| {
        let Some(top) = tops.get(piece.place).and_then(Option::as_ref) else {
            return Ok(());
        };
        let named = manifest
            .paths
            .get(piece.place)
            .map(|stored| stored.real.join(&piece.below));
        let named = named.unwrap_or_default();
        let at = join(top, &piece.below);
        // What is in a folder is complete when something outside of it comes.
        while open
            .last()
            .is_some_and(|(folder, _)| !at.starts_with(folder))
        {
            close(&mut open, notes).map_err(cannot("restore", &named))?;
        }
        put(&at, top, &piece, content, halt).map_err(cannot("restore", &named))?;
        match piece.kind {
            Kind::Folder => open.push((at, piece)),
            // It is the same file, which has all that already.
            Kind::Same(_) => {}
            Kind::File(_) | Kind::Link(_) => {
                finish(&at, &piece, notes).map_err(cannot("restore", &named))?;
            }
        }
        Ok(())
    })?;
    while !open.is_empty() {
        close(&mut open, notes).map_err(cannot("restore", archive))?;
    }
    Ok(())
}

fn close(open: &mut Vec<(PathBuf, Piece)>, notes: &mut Notes) -> io::Result<()> {
    match open.pop() {
        Some((at, piece)) => finish(&at, &piece, notes),
        None => Ok(()),
    }
}

/// Joins without the slash that an empty path would add.
fn join(top: &Path, below: &Path) -> PathBuf {
    match below.as_os_str().is_empty() {
        true => top.to_owned(),
        false => top.join(below),
    }
}

fn put(
    at: &Path,
    top: &Path,
    piece: &Piece,
    content: &mut dyn Read,
    halt: &AtomicBool,
) -> io::Result<()> {
    match &piece.kind {
        Kind::Folder => DirBuilder::new().mode(0o700).create(at),
        Kind::Link(target) => symlink(target, at),
        Kind::Same(below) => fs::hard_link(inside(top, below)?, at),
        Kind::File(bytes) => {
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(at)?;
            fill(file, *bytes, content, halt)
        }
    }
}

/// The file at `below`, unless the way to it leads through a link.
fn inside(top: &Path, below: &Path) -> io::Result<PathBuf> {
    let path = join(top, below);
    match fs::canonicalize(&path)? == join(&fs::canonicalize(top)?, below) {
        true => Ok(path),
        false => Err(io::Error::other("a link leads elsewhere")),
    }
}

fn fill(mut file: File, bytes: u64, content: &mut dyn Read, halt: &AtomicBool) -> io::Result<()> {
    check::blocks(content, halt, &mut |block| {
        if check::is_hole(block) {
            return file.seek(SeekFrom::Current(check::BLOCK as i64)).map(drop);
        }
        file.write_all(block)
    })?;
    // A hole at the end.
    file.set_len(bytes)
}

/// Gives what is at `at` its owner, mode and time, in this order: a change of owner takes the mode's special bits away, and
/// each of them would change the time.
fn finish(at: &Path, piece: &Piece, notes: &mut Notes) -> io::Result<()> {
    own(at, piece, notes)?;
    if !matches!(piece.kind, Kind::Link(_)) {
        fs::set_permissions(at, Permissions::from_mode(piece.mode))?;
    }
    let time = Timespec {
        tv_sec: piece.mtime,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, at, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Sets the owner. Who is not root cannot give files away: that is noted, once for each place.
fn own(at: &Path, piece: &Piece, notes: &mut Notes) -> io::Result<()> {
    let meta = fs::symlink_metadata(at)?;
    if (meta.uid(), meta.gid()) == (piece.uid, piece.gid) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(piece.uid), Gid::from_raw(piece.gid));
    let owned = chownat(CWD, at, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
    match owned.map_err(io::Error::from) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            notes.add(format!(
                "the owner {}:{} of {} could not be restored, because towline does not run as root",
                piece.uid,
                piece.gid,
                piece.below.display()
            ));
            Ok(())
        }
        owned => owned,
    }
}
