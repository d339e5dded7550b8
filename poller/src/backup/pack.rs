//! Writing an archive: the manifest, then the places one after the other.

use std::{
    collections::HashMap,
    fs::{File, Metadata},
    io::{self, BufWriter, Read, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use super::{
    BackupError,
    error::{Halted, cannot},
    manifest::{ENTRY, Manifest},
    note::Notes,
    place::Place,
    walk::{Found, has_attributes, walk},
};

/// The longest target of a link that a header has room for; the tar crate writes an entry of its own for longer ones.
const LINK_NAME: usize = 100;

/// How many entries were written, and what is not in them as it was.
pub(super) struct Packed {
    pub entries: u64,
    pub notes: Notes,
}

/// Writes `manifest` and what is in `places` to `file`, which is at `archive`, and makes sure that the disk has it.
pub(super) fn pack(
    file: File,
    archive: &Path,
    manifest: &Manifest,
    places: &[Place],
    halt: &AtomicBool,
) -> Result<Packed, BackupError> {
    // The service is stopped meanwhile: fast rather than small.
    let gzip = GzEncoder::new(BufWriter::new(file), Compression::fast());
    let mut pack = Pack {
        tar: Builder::new(gzip),
        archive,
        halt,
        links: HashMap::new(),
        packed: Packed {
            entries: 0,
            notes: Notes::default(),
        },
    };
    pack.manifest(manifest)?;
    for place in places {
        // A name of another place could be on another disk when it is restored.
        pack.links.clear();
        walk(place, halt, &mut |path, meta, found| {
            pack.entry(path, meta, found)
        })?;
    }
    let Pack { tar, packed, .. } = pack;
    let ended = || -> io::Result<()> {
        let buffered = tar.into_inner()?.finish()?;
        buffered
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()
    };
    ended().map_err(cannot("write", archive))?;
    Ok(packed)
}

struct Pack<'a, W: Write> {
    tar: Builder<W>,
    archive: &'a Path,
    halt: &'a AtomicBool,
    /// The first name of each file that has several, by device and inode.
    links: HashMap<(u64, u64), PathBuf>,
    packed: Packed,
}

impl<W: Write> Pack<'_, W> {
    fn manifest(&mut self, manifest: &Manifest) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(manifest)
            .map_err(io::Error::from)
            .map_err(cannot("write", self.archive))?;
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(text.len() as u64);
        header.set_mtime(u64::try_from(manifest.at.as_second()).unwrap_or(0));
        let written = self.tar.append_data(&mut header, ENTRY, &text[..]);
        written.map_err(cannot("write", self.archive))
    }

    fn entry(
        &mut self,
        path: &Path,
        meta: Option<&Metadata>,
        found: Found,
    ) -> Result<(), BackupError> {
        // Without the leading slash: what unpacks it by hand does so below the folder where it is.
        let name = path.strip_prefix("/").unwrap_or(path);
        match (found, meta) {
            (Found::Missed(why), _) => self
                .packed
                .notes
                .add(format!("{} is not in the backup: {why}", path.display())),
            (_, None) => {}
            (Found::Folder, Some(meta)) => {
                let mut header = header(meta, EntryType::Directory);
                self.written(|tar| tar.append_data(&mut header, name, io::empty()))?;
            }
            (Found::Link(target), Some(meta)) => {
                let mut header = header(meta, EntryType::Symlink);
                self.link(&mut header, name, &target)?;
            }
            (Found::File(file), Some(meta)) => self.file(path, name, meta, file)?,
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        name: &Path,
        meta: &Metadata,
        file: File,
    ) -> Result<(), BackupError> {
        if meta.nlink() > 1 {
            let id = (meta.dev(), meta.ino());
            if let Some(first) = self.links.get(&id).cloned() {
                let mut header = header(meta, EntryType::Link);
                return self.link(&mut header, name, &first);
            }
            self.links.insert(id, name.to_owned());
        }
        if has_attributes(&file) {
            let what =
                "has extended attributes (access control lists are some), which are not kept";
            self.packed.notes.add(format!("{} {what}", path.display()));
        }
        let mut header = header(meta, EntryType::Regular);
        header.set_size(meta.len());
        let mut steady = Steady::new(file, meta.len(), self.halt);
        let written = self.tar.append_data(&mut header, name, &mut steady);
        if let Some(why) = steady.failed {
            return Err(cannot("read", path)(why));
        }
        written.map_err(cannot("write", self.archive))?;
        self.packed.entries += 1;
        if steady.was_short || is_other(&steady.file, meta) {
            let what = "was changed while it was read";
            self.packed.notes.add(format!("{} {what}", path.display()));
        }
        Ok(())
    }

    fn link(&mut self, header: &mut Header, name: &Path, target: &Path) -> Result<(), BackupError> {
        let bytes = target.as_os_str().as_bytes();
        // Else the crate would tidy the target up, and a link is to say what it said.
        if bytes.len() < LINK_NAME && header.set_link_name_literal(bytes).is_ok() {
            return self.written(|tar| tar.append_data(header, name, io::empty()));
        }
        self.written(|tar| tar.append_link(header, name, target))
    }

    fn written(
        &mut self,
        write: impl FnOnce(&mut Builder<W>) -> io::Result<()>,
    ) -> Result<(), BackupError> {
        write(&mut self.tar).map_err(cannot("write", self.archive))?;
        self.packed.entries += 1;
        Ok(())
    }
}

fn header(meta: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(meta.mode() & 0o7777);
    header.set_uid(meta.uid().into());
    header.set_gid(meta.gid().into());
    header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
    header.set_size(0);
    header
}

/// Whether a file is not any more what `before` says.
fn is_other(file: &File, before: &Metadata) -> bool {
    let times = |meta: &Metadata| (meta.len(), meta.mtime(), meta.mtime_nsec());
    !file
        .metadata()
        .is_ok_and(|after| times(&after) == times(before))
}

/// A file as long as its header says, whatever becomes of it: one that got shorter ends with zeros, because an archive
/// with an entry that is too short could not be read.
struct Steady<'a> {
    file: File,
    left: u64,
    halt: &'a AtomicBool,
    was_short: bool,
    failed: Option<io::Error>,
}

impl<'a> Steady<'a> {
    fn new(file: File, left: u64, halt: &'a AtomicBool) -> Self {
        Self {
            file,
            left,
            halt,
            was_short: false,
            failed: None,
        }
    }
}

impl Read for Steady<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.halt.load(Ordering::Relaxed) {
            return Err(io::Error::other(Halted));
        }
        let room = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        let count = match (&self.file).read(buffer) {
            Ok(0) if room > 0 => {
                self.was_short = true;
                buffer.fill(0);
                room
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                return Err(kind.into());
            }
        };
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_cut_while_it_is_read_is_filled_up_and_known_for_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let before = file.metadata().unwrap();
        std::fs::write(&path, "0123").unwrap();
        let halt = AtomicBool::new(false);
        let mut steady = Steady::new(file, before.len(), &halt);
        let mut read = Vec::new();
        steady.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"0123\0\0\0\0\0\0");
        assert!(steady.was_short && is_other(&steady.file, &before));
    }

    #[test]
    fn of_a_file_that_grows_only_what_was_announced_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "0123").unwrap();
        let file = File::open(&path).unwrap();
        let before = file.metadata().unwrap();
        std::fs::write(&path, "0123456789").unwrap();
        let halt = AtomicBool::new(false);
        let mut steady = Steady::new(file, before.len(), &halt);
        let mut read = Vec::new();
        steady.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"0123");
        assert!(!steady.was_short && is_other(&steady.file, &before));
    }
}
