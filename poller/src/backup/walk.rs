//! Going through what is in a place, a folder before what is in it, without following symbolic links. What goes away
//! meanwhile, or is none of files, folders and links, is told and passed over.

use std::{
    fs::{self, File, FileType, Metadata},
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{fs::flistxattr, io::Errno};

use super::{
    BackupError,
    error::cannot,
    place::{Folder, Place, open_file},
};

/// What is found on the way.
pub(super) enum Found {
    /// A folder; what is in it comes next.
    Folder,
    /// A file, open for reading.
    File(File),
    /// A symbolic link, and what it says.
    Link(PathBuf),
    /// What is passed over, and why.
    Missed(&'static str),
}

/// Takes what is found at a path. What is missed has no metadata.
pub(super) type Each<'a> =
    dyn FnMut(&Path, Option<&Metadata>, Found) -> Result<(), BackupError> + 'a;

/// Goes through `place` until the end, `halt` or an error of `each`.
pub(super) fn walk(
    place: &Place,
    halt: &AtomicBool,
    each: &mut Each<'_>,
) -> Result<(), BackupError> {
    let parent = place.open_parent()?;
    let path = place.path();
    let mut is_there = true;
    let mut top = |at: &Path, meta: Option<&Metadata>, found: Found| {
        is_there &= !(at == path && matches!(found, Found::Missed(_)));
        each(at, meta, found)
    };
    visit(&parent, path, halt, &mut top)?;
    match is_there {
        true => Ok(()),
        false => Err(BackupError::Missing {
            path: path.to_owned(),
        }),
    }
}

fn visit(
    folder: &Folder,
    path: &Path,
    halt: &AtomicBool,
    each: &mut Each<'_>,
) -> Result<(), BackupError> {
    if halt.load(Ordering::Relaxed) {
        return Err(BackupError::Halted);
    }
    let name = path.file_name().unwrap_or_default();
    match look(&folder.at(name)) {
        Ok((meta, Found::Folder)) => match folder.enter(name) {
            Ok(inner) => {
                each(path, Some(&meta), Found::Folder)?;
                visit_all(&inner, path, halt, each)
            }
            Err(error) => miss(path, error, each),
        },
        Ok((_, Found::Missed(why))) => each(path, None, Found::Missed(why)),
        Ok((meta, found)) => each(path, Some(&meta), found),
        Err(error) => miss(path, error, each),
    }
}

fn visit_all(
    folder: &Folder,
    path: &Path,
    halt: &AtomicBool,
    each: &mut Each<'_>,
) -> Result<(), BackupError> {
    let entries = fs::read_dir(folder.at(".")).map_err(cannot("read", path))?;
    let names: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names.map_err(cannot("read", path))?;
    names.sort_unstable();
    names
        .iter()
        .try_for_each(|name| visit(folder, &path.join(name), halt, each))
}

/// What is at `at`.
fn look(at: &Path) -> io::Result<(Metadata, Found)> {
    let meta = fs::symlink_metadata(at)?;
    let kind = meta.file_type();
    if kind.is_symlink() {
        return Ok((meta, Found::Link(fs::read_link(at)?)));
    }
    if !kind.is_file() {
        let found = match kind.is_dir() {
            true => Found::Folder,
            false => Found::Missed(special(kind)),
        };
        return Ok((meta, found));
    }
    let file = open_file(at)?;
    let meta = file.metadata()?;
    match meta.is_file() {
        true => Ok((meta, Found::File(file))),
        false => Ok((meta, Found::Missed("it went away or was changed meanwhile"))),
    }
}

fn special(kind: FileType) -> &'static str {
    if kind.is_socket() {
        "it is a socket"
    } else if kind.is_fifo() {
        "it is a pipe"
    } else {
        "it is a device"
    }
}

/// What went away or became a link meanwhile is passed over; what cannot be read would be missing from the backup.
fn miss(path: &Path, error: io::Error, each: &mut Each<'_>) -> Result<(), BackupError> {
    // The last is what opening a symbolic link says.
    let meanwhile =
        [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].map(|errno| Some(errno.raw_os_error()));
    match meanwhile.contains(&error.raw_os_error()) {
        true => each(
            path,
            None,
            Found::Missed("it went away or was changed meanwhile"),
        ),
        false => Err(cannot("read", path)(error)),
    }
}

/// Whether a file has extended attributes that people have given it: access control lists and capabilities are some.
pub(super) fn has_attributes(file: &File) -> bool {
    let mut names = Vec::with_capacity(4096);
    match flistxattr(file, rustix::buffer::spare_capacity(&mut names)) {
        Ok(_) => names
            .split(|byte| *byte == 0)
            .any(|name| !name.is_empty() && name != b"security.selinux"),
        Err(error) => error == Errno::RANGE,
    }
}
