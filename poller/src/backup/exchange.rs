//! Exchanging what is in a place for what was put together beside it: in one step where the file system can, and with
//! what is needed to find out after a crash whether that has happened.
//!
//! Beside `data` there are `.data.restoring-DEPLOY`, a folder for root alone with the new data as `new`, and then
//! `data.before-restore-DEPLOY` with the old. The folder's file `inode` says which one `new` was before the exchange.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};

use super::{
    BackupError,
    error::cannot,
    place::{Folder, Place, open_file},
};

const NEW: &str = "new";
const MARK: &str = "inode";

/// How two names are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In one step, or in two where the file system cannot.
    AtOnce,
    /// In two steps.
    TwoSteps,
}

/// A place and what is beside it.
#[derive(Debug)]
pub(super) struct Site {
    place: Place,
    parent: Folder,
    deploy: String,
}

impl Site {
    /// Looks after what earlier tries have left beside `place`, so that either the old data or the new are in it. Returns
    /// the site, and whether a try for the same deploy has exchanged the data already.
    pub(super) fn settled(place: Place, deploy: &str) -> Result<(Self, bool), BackupError> {
        let parent = place.open_parent()?;
        let site = Self {
            place,
            parent,
            deploy: deploy.to_owned(),
        };
        let path = site.place.path().to_owned();
        let is_done = site.settle().map_err(cannot("restore", &path))?;
        Ok((site, is_done))
    }

    fn settle(&self) -> io::Result<bool> {
        let prefix = dotted(&self.place.name, ".restoring-");
        for entry in fs::read_dir(self.parent.at("."))? {
            let name = entry?.file_name();
            if let Some(deploy) = name.as_bytes().strip_prefix(prefix.as_bytes()) {
                let deploy = OsStr::from_bytes(deploy);
                // What somebody else has put there is left alone: the service's user may write into this folder.
                let Some(stage) = self.own_stage(&name)? else {
                    continue;
                };
                if was_exchanged(&stage)? {
                    self.set_aside(&stage, deploy)?;
                }
                fs::remove_dir_all(self.parent.at(&name))?;
            }
        }
        let aside = self.aside_name(self.deploy.as_ref());
        if !is_there(&self.parent, &aside)? {
            return Ok(false);
        }
        if is_there(&self.parent, &self.place.name)? {
            return Ok(true);
        }
        // Between the two steps.
        rename(
            &self.parent,
            &aside,
            &self.parent,
            &self.place.name,
            RenameFlags::NOREPLACE,
        )?;
        self.parent.sync()?;
        Ok(false)
    }

    /// The folder of this name if it is one that an earlier try has made.
    fn own_stage(&self, name: &OsStr) -> io::Result<Option<Folder>> {
        let is_dir = fs::symlink_metadata(self.parent.at(name))?.is_dir();
        if !is_dir {
            return Ok(None);
        }
        let stage = self.parent.enter(name)?;
        Ok(stage.is_private()?.then_some(stage))
    }

    /// Where the data are.
    pub(super) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Makes the folder for the new data; they belong at the path that is returned with it.
    pub(super) fn stage(&self) -> Result<(Folder, PathBuf), BackupError> {
        let name = self.stage_name();
        let path = self.place.parent.join(&name);
        let at = self.parent.at(&name);
        DirBuilder::new()
            .mode(0o700)
            .create(&at)
            .map_err(cannot("make", &path))?;
        let stage = self.parent.enter(&name).map_err(cannot("open", &path))?;
        // Between making and opening it, somebody may have put another one in its place.
        if !stage.is_private().map_err(cannot("read", &path))? {
            let why = io::Error::other("somebody has replaced it just now");
            return Err(cannot("use", &path)(why));
        }
        let new = stage.at(NEW);
        Ok((stage, new))
    }

    /// Removes the folder for the new data, when they are not wanted any more.
    pub(super) fn clear(&self) {
        // The next restoring removes it: why it could not be done now is told then.
        let _ = fs::remove_dir_all(self.parent.at(self.stage_name()));
    }

    /// Exchanges what is in the place for the new data.
    pub(super) fn exchange(&self, stage: &Folder, way: Way) -> Result<(), BackupError> {
        self.exchanged(stage, way)
            .map_err(cannot("replace", self.place.path()))
    }

    fn exchanged(&self, stage: &Folder, way: Way) -> io::Result<()> {
        mark(stage)?;
        let (name, new) = (&self.place.name, OsStr::new(NEW));
        if !is_there(&self.parent, name)? {
            rename(stage, new, &self.parent, name, RenameFlags::NOREPLACE)?;
        } else if way == Way::TwoSteps || !at_once(stage, new, &self.parent, name)? {
            let aside = self.aside_name(self.deploy.as_ref());
            rename(
                &self.parent,
                name,
                &self.parent,
                &aside,
                RenameFlags::NOREPLACE,
            )?;
            rename(stage, new, &self.parent, name, RenameFlags::NOREPLACE)?;
        } else {
            self.set_aside(stage, self.deploy.as_ref())?;
        }
        // The data are exchanged: what is left of the stage is removed by the next restoring.
        let _ = fs::remove_dir_all(self.parent.at(self.stage_name()));
        self.parent.sync()
    }

    /// Gives the old data, which the exchange has put into the stage, their name.
    fn set_aside(&self, stage: &Folder, deploy: &OsStr) -> io::Result<()> {
        let aside = self.aside_name(deploy);
        rename(
            stage,
            OsStr::new(NEW),
            &self.parent,
            &aside,
            RenameFlags::NOREPLACE,
        )?;
        self.parent.sync()
    }

    /// Where the old data are, if there were any.
    pub(super) fn aside(&self) -> Option<PathBuf> {
        let name = self.aside_name(self.deploy.as_ref());
        let is_there = is_there(&self.parent, &name).unwrap_or(false);
        is_there.then(|| self.place.parent.join(name))
    }

    /// Removes the old data.
    pub(super) fn remove_aside(&self) -> Result<(), BackupError> {
        let Some(path) = self.aside() else {
            return Ok(());
        };
        let at = self.parent.at(self.aside_name(self.deploy.as_ref()));
        let removed = match fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&at),
            Ok(_) => fs::remove_file(&at),
            Err(error) => Err(error),
        };
        removed.map_err(cannot("remove", &path))
    }

    fn stage_name(&self) -> OsString {
        let mut name = dotted(&self.place.name, ".restoring-");
        name.push(&self.deploy);
        name
    }

    fn aside_name(&self, deploy: &OsStr) -> OsString {
        let mut name = self.place.name.clone();
        name.push(".before-restore-");
        name.push(deploy);
        name
    }
}

fn dotted(name: &OsStr, end: &str) -> OsString {
    let bytes = [b".", name.as_bytes(), end.as_bytes()].concat();
    OsString::from_vec(bytes)
}

/// Notes which one the new data are, once all of them are on the disk.
fn mark(stage: &Folder) -> io::Result<()> {
    let inode = fs::symlink_metadata(stage.at(NEW))?.ino();
    let mut mark = File::create(stage.at(MARK))?;
    mark.write_all(inode.to_string().as_bytes())?;
    mark.sync_all()?;
    syncfs(&mark)?;
    Ok(())
}

/// Whether the stage holds the old data and no longer the new ones.
fn was_exchanged(stage: &Folder) -> io::Result<bool> {
    let mark = match open_file(&stage.at(MARK)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        mark => mark?,
    };
    if !mark.metadata()?.is_file() {
        return Ok(false);
    }
    let marked = io::read_to_string(mark)?;
    match fs::symlink_metadata(stage.at(NEW)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        meta => Ok(marked.parse() != Ok(meta?.ino())),
    }
}

/// Exchanges two names; `false` when this file system cannot.
fn at_once(from: &Folder, name: &OsStr, to: &Folder, other: &OsStr) -> io::Result<bool> {
    match rename(from, name, to, other, RenameFlags::EXCHANGE) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(false)
        }
        done => done.map(|()| true),
    }
}

fn rename(
    from: &Folder,
    name: &OsStr,
    to: &Folder,
    other: &OsStr,
    flags: RenameFlags,
) -> io::Result<()> {
    match renameat_with(CWD, from.at(name), CWD, to.at(other), flags) {
        // Nothing is there that it would replace: that was looked at.
        Err(rustix::io::Errno::INVAL) if flags == RenameFlags::NOREPLACE => {
            fs::rename(from.at(name), to.at(other))
        }
        done => Ok(done?),
    }
}

fn is_there(folder: &Folder, name: &OsStr) -> io::Result<bool> {
    match fs::symlink_metadata(folder.at(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true),
    }
}
