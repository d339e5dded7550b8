//! Reading an archive: what it is of, and each entry in its order, with everything refused that this module's own writing
//! does not bring about.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use flate2::read::GzDecoder;
use tar::{Archive, Entry, EntryType, Header};

use super::{
    BackupError,
    error::{Halted, cannot},
    manifest::{ENTRY, FORMAT, MAX, Manifest},
};

/// How much of a file is looked at at once; as much that is zero becomes a hole.
pub(super) const BLOCK: usize = 64 << 10;

/// An archive that was read to its end and is whole.
pub(super) struct Checked {
    pub manifest: Manifest,
    pub entries: u64,
    /// How many bytes each of the manifest's paths takes when it is restored, in their order.
    pub needed: Vec<u64>,
}

/// An entry of an archive.
pub(super) struct Piece {
    /// Which of the manifest's paths it belongs to.
    pub place: usize,
    /// Where it is below that; empty for the path itself.
    pub below: PathBuf,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// When it was modified, in seconds since 1970.
    pub mtime: i64,
}

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A folder.
    Folder,
    /// A file of so many bytes.
    File(u64),
    /// A symbolic link that says this.
    Link(PathBuf),
    /// Another name of the file that is there below the same path.
    Same(PathBuf),
}

type Source = GzDecoder<BufReader<File>>;

/// Takes an entry and, of a file, what is in it.
pub(super) type Each<'a> =
    dyn FnMut(&Manifest, Piece, &mut dyn Read) -> Result<(), BackupError> + 'a;

/// What the archive says of itself.
pub(super) fn manifest_of(archive: &Path) -> Result<Manifest, BackupError> {
    let mut tar = open(archive)?;
    let first = tar
        .entries()
        .and_then(|mut entries| entries.next().transpose());
    match first.map_err(unreadable(archive))? {
        Some(entry) => manifest(archive, entry),
        None => Err(damaged(archive, "it is empty")),
    }
}

/// Reads the archive to its end.
pub(super) fn check(archive: &Path, halt: &AtomicBool) -> Result<Checked, BackupError> {
    let mut entries = 0;
    let mut needed = Vec::new();
    let manifest = each(archive, halt, &mut |manifest, piece, content| {
        needed.resize(manifest.paths.len(), 0);
        entries += 1;
        let mut bytes = 4096;
        blocks(content, halt, &mut |block| {
            bytes += if is_hole(block) {
                0
            } else {
                block.len() as u64
            };
            Ok(())
        })
        .map_err(unreadable(archive))?;
        if let Some(needed) = needed.get_mut(piece.place) {
            *needed += bytes;
        }
        Ok(())
    })?;
    Ok(Checked {
        manifest,
        entries,
        needed,
    })
}

/// Hands each entry to `take`. When it returns without an error, the archive is whole.
pub(super) fn each(
    archive: &Path,
    halt: &AtomicBool,
    take: &mut Each<'_>,
) -> Result<Manifest, BackupError> {
    let mut tar = open(archive)?;
    let mut entries = tar.entries().map_err(unreadable(archive))?;
    let first = entries.next().transpose().map_err(unreadable(archive))?;
    let first = first.ok_or_else(|| damaged(archive, "it is empty"))?;
    let manifest = manifest(archive, first)?;
    let mut order = Order::default();
    for entry in entries {
        if halt.load(Ordering::Relaxed) {
            return Err(BackupError::Halted);
        }
        let mut entry = entry.map_err(unreadable(archive))?;
        let piece = piece(&manifest, &entry)
            .and_then(|piece| order.follow(piece))
            .map_err(|problem| damaged(archive, &problem))?;
        take(&manifest, piece, &mut entry)?;
    }
    if order.begun != manifest.paths.len() {
        return Err(damaged(archive, "not all of its paths are in it"));
    }
    // The sum over all of it comes last.
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(unreadable(archive))?;
    Ok(manifest)
}

/// Hands over what `content` holds, [`BLOCK`] bytes at a time except for the last.
pub(super) fn blocks(
    content: &mut dyn Read,
    halt: &AtomicBool,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        let read = content.take(BLOCK as u64).read_to_end(&mut block)?;
        if read == 0 {
            return Ok(());
        }
        if halt.load(Ordering::Relaxed) {
            return Err(io::Error::other(Halted));
        }
        take(&block)?;
    }
}

/// Whether a block need not be written.
pub(super) fn is_hole(block: &[u8]) -> bool {
    block.len() == BLOCK && block.iter().all(|byte| *byte == 0)
}

fn open(archive: &Path) -> Result<Archive<Source>, BackupError> {
    let file = File::open(archive).map_err(cannot("read", archive))?;
    Ok(Archive::new(GzDecoder::new(BufReader::new(file))))
}

fn manifest(archive: &Path, entry: Entry<'_, Source>) -> Result<Manifest, BackupError> {
    let no_manifest = || damaged(archive, "it does not begin with what it is of");
    if *entry.path_bytes() != *ENTRY.as_bytes() || entry.size() > MAX {
        return Err(no_manifest());
    }
    let mut text = Vec::new();
    let mut content = entry.take(MAX);
    content
        .read_to_end(&mut text)
        .map_err(unreadable(archive))?;
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|_| no_manifest())?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format > u64::from(FORMAT) => Err(BackupError::Foreign {
            archive: archive.to_owned(),
            why: format!("a newer towline has written it (format {format})"),
        }),
        _ => serde_json::from_value(value).map_err(|_| no_manifest()),
    }
}

/// Reads an entry's header.
fn piece(manifest: &Manifest, entry: &Entry<'_, Source>) -> Result<Piece, String> {
    let header = entry.header();
    let path = below_root(&entry.path_bytes())?;
    let (place, below) = placed(manifest, &path)?;
    let target = entry.link_name_bytes();
    let kind = match (header.entry_type(), target) {
        (EntryType::Directory, _) => Kind::Folder,
        (EntryType::Regular, _) => Kind::File(entry.size()),
        (EntryType::Symlink, Some(target)) => Kind::Link(OsStr::from_bytes(&target).into()),
        (EntryType::Link, Some(target)) => match placed(manifest, &below_root(&target)?)? {
            (of, below) if of == place => Kind::Same(below),
            _ => return Err(format!("{} is a link to elsewhere", path.display())),
        },
        _ => {
            return Err(format!(
                "{} is neither file, folder nor link",
                path.display()
            ));
        }
    };
    let number = |read: fn(&Header) -> io::Result<u64>| {
        let number = read(header)
            .ok()
            .and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| format!("the header of {} is none", path.display()))
    };
    Ok(Piece {
        place,
        below,
        kind,
        mode: number(|header| header.mode().map(u64::from))? & 0o7777,
        uid: number(Header::uid)?,
        gid: number(Header::gid)?,
        mtime: header
            .mtime()
            .ok()
            .and_then(|time| i64::try_from(time).ok())
            .unwrap_or(0),
    })
}

/// The path that an entry has in the archive, as it is on the host.
fn below_root(bytes: &[u8]) -> Result<PathBuf, String> {
    // The crate ends the names of folders with a slash.
    let path = Path::new(OsStr::from_bytes(bytes));
    let is_plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match is_plain && path.components().next().is_some() {
        true => Ok(Path::new("/").join(path.components().collect::<PathBuf>())),
        false => Err(format!("{} is no path of a backup", path.display())),
    }
}

/// Which of the manifest's paths `path` belongs to, and where it is below that.
fn placed(manifest: &Manifest, path: &Path) -> Result<(usize, PathBuf), String> {
    let below = |stored: &super::Stored| path.strip_prefix(&stored.real).map(Path::to_owned).ok();
    let mut all = manifest.paths.iter().enumerate();
    all.find_map(|(place, stored)| Some((place, below(stored)?)))
        .ok_or_else(|| format!("{} belongs to none of its paths", path.display()))
}

/// The order of entries: place after place, and each in the folder that was begun last and has not ended, so that nothing
/// goes through a link.
#[derive(Default)]
struct Order {
    /// How many places have begun.
    begun: usize,
    /// The folders that what comes next may be in.
    open: Vec<PathBuf>,
}

impl Order {
    fn follow(&mut self, piece: Piece) -> Result<Piece, String> {
        let is_top = piece.below.as_os_str().is_empty();
        let follows = match piece.below.parent() {
            _ if is_top => {
                self.open.clear();
                self.begun += 1;
                piece.place + 1 == self.begun
            }
            Some(parent) => {
                while self.open.last().is_some_and(|open| open != parent) {
                    self.open.pop();
                }
                !self.open.is_empty() && piece.place + 1 == self.begun
            }
            None => false,
        };
        if !follows {
            return Err(format!("{} is not in its place", piece.below.display()));
        }
        if piece.kind == Kind::Folder {
            self.open.push(piece.below.clone());
        }
        Ok(piece)
    }
}

pub(super) fn damaged(archive: &Path, problem: &str) -> BackupError {
    BackupError::Damaged {
        archive: archive.to_owned(),
        problem: problem.to_owned(),
    }
}

/// Tells an archive that is not what was written from a disk that cannot be read.
fn unreadable(archive: &Path) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let archive = archive.to_owned();
    move |error| {
        let is_systems = error.raw_os_error().is_some();
        if is_systems || Halted::is_in(&error) {
            return cannot("read", &archive)(error);
        }
        damaged(&archive, &error.to_string())
    }
}
