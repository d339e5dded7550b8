//! Where the paths of a backup are, and how they are reached: through open folders, so that no symbolic link that the
//! service's user puts in the way meanwhile leads elsewhere.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::{
            ffi::OsStringExt,
            fs::{MetadataExt, OpenOptionsExt},
        },
    },
    path::{Component, Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{BackupError, error::cannot, manifest::Stored};

/// A path of a backup as it is on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As the host's file names it, and where that is.
    pub stored: Stored,
    /// The folder that it is in.
    pub parent: PathBuf,
    /// Its name there.
    pub name: OsString,
}

impl Place {
    /// Where `named` is: a symbolic link in it stands for what it leads to.
    pub(super) fn of(named: &Path) -> Result<Self, BackupError> {
        let real = fs::canonicalize(named).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                let path = named.to_owned();
                return BackupError::Missing { path };
            }
            cannot("read", named)(error)
        })?;
        let meta = fs::metadata(&real).map_err(cannot("read", named))?;
        if !meta.is_file() && !meta.is_dir() {
            return Err(unfit(named, "it is neither a file nor a folder"));
        }
        Self::at(Stored {
            named: named.to_owned(),
            real,
        })
    }

    /// The place of what is stored, whether or not something is there.
    pub(super) fn at(stored: Stored) -> Result<Self, BackupError> {
        let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
        let is_plain = stored.real.is_absolute() && stored.real.components().all(plain);
        match (stored.real.parent(), stored.real.file_name()) {
            (Some(parent), Some(name)) if is_plain => Ok(Self {
                parent: parent.to_owned(),
                name: name.to_owned(),
                stored,
            }),
            _ => Err(unfit(
                &stored.real,
                "it is not a folder or file in a folder",
            )),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.stored.real
    }

    /// The folder that it is in, open.
    pub(super) fn open_parent(&self) -> Result<Folder, BackupError> {
        Folder::open(&self.parent).map_err(cannot("open", &self.parent))
    }
}

/// Finds the places of `paths`, which must be apart from each other and from the state directory `state`.
pub(super) fn places(paths: &[PathBuf], state: &Path) -> Result<Vec<Place>, BackupError> {
    let state = located(state)?;
    let mut places: Vec<Place> = Vec::new();
    for named in paths {
        let place = Place::of(named)?;
        let path = place.path();
        let touches = |other: &Path| path.starts_with(other) || other.starts_with(path);
        if touches(&state) {
            let why = format!("towline's own state is in {}", state.display());
            return Err(unfit(named, &why));
        }
        if let Some(other) = places.iter().find(|other| touches(other.path())) {
            let why = format!(
                "it is in {} or holds it, which is backed up as well",
                other.stored.named.display()
            );
            return Err(unfit(named, &why));
        }
        places.push(place);
    }
    Ok(places)
}

/// Where the folder `path` is, or will be once it is made.
fn located(path: &Path) -> Result<PathBuf, BackupError> {
    let standing = standing(path);
    let missing = path.strip_prefix(standing).unwrap_or(path);
    let real = fs::canonicalize(standing).map_err(cannot("read", standing))?;
    Ok(real.join(missing))
}

/// `path`, or the nearest folder above it that is there.
pub(super) fn standing(path: &Path) -> &Path {
    let mut above = path.ancestors();
    // Above a path that begins here is the folder of this process.
    above
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("."))
}

fn unfit(path: &Path, why: &str) -> BackupError {
    BackupError::Unfit {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}

/// Refuses places that are mount points or hold one: they cannot be renamed, and what is mounted would be removed with
/// what was there.
pub(super) fn replaceable(places: &[Place]) -> Result<(), BackupError> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read(table).map_err(cannot("read", table))?;
    let mounts: Vec<_> = text
        .split(|byte| *byte == b'\n')
        .filter_map(mount_point)
        .collect();
    for place in places {
        if let Some(mount) = mounts.iter().find(|mount| mount.starts_with(place.path())) {
            return Err(BackupError::Mounted {
                path: place.stored.named.clone(),
                mount: mount.clone(),
            });
        }
    }
    Ok(())
}

/// Where the mount of a line of `mountinfo` is (proc(5)): its fifth field, with blanks as `\040`.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        path.push(octal.unwrap_or(*first));
        rest = match octal {
            Some(_) => after.get(3..).unwrap_or_default(),
            None => after,
        };
    }
    Some(OsString::from_vec(path).into())
}

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder(File);

impl Folder {
    /// Opens the folder at `path`, in which no part is a symbolic link.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut folder = Self(enter(Path::new("/"))?);
        for part in path.components() {
            if let Component::Normal(name) = part {
                folder = folder.enter(name)?;
            }
        }
        Ok(folder)
    }

    /// Opens the folder `name` in this one.
    pub(super) fn enter(&self, name: &OsStr) -> io::Result<Self> {
        enter(&self.at(name)).map(Self)
    }

    /// The way to `name` in this folder, wherever that is by now.
    pub(super) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd())).join(name)
    }

    /// Whether it is ours, and for us alone.
    pub(super) fn is_private(&self) -> io::Result<bool> {
        let meta = fs::metadata(self.at("."))?;
        let is_ours = meta.uid() == rustix::process::geteuid().as_raw();
        Ok(is_ours && meta.mode() & 0o077 == 0)
    }

    /// Writes the folder's names to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(self.at("."))?.sync_all()
    }
}

fn enter(path: &Path) -> io::Result<File> {
    open(path, OFlags::PATH | OFlags::DIRECTORY)
}

/// Opens the file at `path` for reading, unless it is a symbolic link. A pipe without a writer is not waited for.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    open(path, OFlags::NONBLOCK)
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = (flags | OFlags::NOFOLLOW).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_points_blanks_and_backslashes_are_read() {
        let line =
            br"36 35 98:0 /mnt1 /srv/my\040data\134x rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mount_point(line), Some(PathBuf::from(r"/srv/my data\x")));
        assert_eq!(mount_point(b""), None);
        assert_eq!(mount_point(br"1 2 3 / /a\0"), Some(PathBuf::from(r"/a\0")));
    }
}
