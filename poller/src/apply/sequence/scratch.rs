//! A folder in which a commit's files are shown to Compose before the checkout is touched.
//!
//! It is where temporary files go, for the service's user, and goes away with its [`Scratch`]. A process that dies leaves it;
//! so a link in the state directory is made first, which says where it is, and the next process follows it ([`sweep`]). Nothing is
//! removed that no such link names.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, chown, symlink},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat, symlinkat};

/// What the link is called in the state directory. There is one folder at a time.
const LINK: &str = "scratch";

/// The folder.
pub(super) struct Scratch {
    path: PathBuf,
    state: PathBuf,
}

impl Scratch {
    /// Makes it, for a deploy and the service's user.
    pub(super) fn new(state: &Path, deploy: &str, user: Option<&str>) -> Result<Self, String> {
        sweep(state)?;
        let path = env::temp_dir().join(format!("towline-{deploy}"));
        let made = || -> io::Result<Self> {
            let link = state.join(LINK);
            symlink(&path, &link)?;
            let folder = fs::DirBuilder::new().mode(0o700).create(&path);
            if folder.is_err() {
                // Whatever is there is not ours.
                fs::remove_file(link)?;
            }
            folder?;
            let (path, state) = (path.clone(), state.to_owned());
            let scratch = Self { path, state };
            if let Some(user) = user
                && let Some(user) = nix::unistd::User::from_name(user)?
            {
                let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
                chown(&scratch.path, Some(uid), Some(gid))?;
            }
            Ok(scratch)
        };
        made().map_err(|why| format!("cannot make the folder {}: {why}", path.display()))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Shows what git does not track, such as `.env`, where the copy has nothing of that name.
    pub(super) fn add(&self, checkout: &Path, others: &[PathBuf]) {
        for other in others {
            // One that cannot be shown is missed by Compose, in its own words.
            let _ = self.link(&checkout.join(other), other);
        }
    }

    /// Makes a link. What the copy has may be links to anywhere, which are not followed: root makes this one.
    fn link(&self, to: &Path, other: &Path) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut parts: Vec<_> = other.components().collect();
        let Some(Component::Normal(name)) = parts.pop() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut folder = openat(CWD, &self.path, flags, Mode::empty())?;
        for part in parts {
            let Component::Normal(part) = part else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            folder = openat(&folder, part, flags, Mode::empty())?;
        }
        Ok(symlinkat(to, &folder, name)?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is tried again by the next one, or at the next start.
        let _ = sweep(&self.state);
    }
}

/// Removes the folder that a process of this state directory has left, if one has; returns where it was.
///
/// # Errors
/// What cannot be removed.
pub fn sweep(state: &Path) -> Result<Option<PathBuf>, String> {
    let link = state.join(LINK);
    let stays = |what: &Path| {
        let what = what.display().to_string();
        move |why| format!("cannot remove {what}, which an earlier run has left: {why}")
    };
    let path = match fs::read_link(&link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        path => path.map_err(stays(&link))?,
    };
    // Links in it, and one in its place, are removed and not followed.
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(stays(&path)(error)),
        Ok(()) | Err(_) => {}
    }
    fs::remove_file(&link).map_err(stays(&link))?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state directory whose process has died with a folder in use; where that is.
    fn died() -> (tempfile::TempDir, PathBuf) {
        let state = tempfile::tempdir().unwrap();
        let deploy = state.path().file_name().unwrap().to_str().unwrap();
        let scratch = Scratch::new(state.path(), deploy, None).unwrap();
        let path = scratch.path().to_owned();
        fs::create_dir(path.join("conf")).unwrap();
        fs::write(path.join("conf/app.env"), "A=1").unwrap();
        std::mem::forget(scratch);
        (state, path)
    }

    fn is_empty(state: &tempfile::TempDir) -> bool {
        fs::read_dir(state.path()).unwrap().next().is_none()
    }

    #[test]
    fn it_goes_away_with_its_owner() {
        let state = tempfile::tempdir().unwrap();
        let deploy = state.path().file_name().unwrap().to_str().unwrap();
        let scratch = Scratch::new(state.path(), deploy, None).unwrap();
        let path = scratch.path().to_owned();
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists() && is_empty(&state));
    }

    #[test]
    fn what_git_does_not_track_is_shown_but_never_through_a_link_of_the_commit() {
        let elsewhere = tempfile::tempdir().unwrap();
        let state = tempfile::tempdir().unwrap();
        let deploy = state.path().file_name().unwrap().to_str().unwrap();
        let scratch = Scratch::new(state.path(), deploy, None).unwrap();
        fs::create_dir(scratch.path().join("app")).unwrap();
        symlink(elsewhere.path(), scratch.path().join("conf")).unwrap();
        let others = [".env", "app/.env", "conf/x", "app/../conf/x"].map(PathBuf::from);
        scratch.add(Path::new("/srv/app"), &others);
        let shown = |name: &str| fs::read_link(scratch.path().join(name)).unwrap();
        assert_eq!(shown(".env"), Path::new("/srv/app/.env"));
        assert_eq!(shown("app/.env"), Path::new("/srv/app/app/.env"));
        assert!(is_empty(&elsewhere));
    }

    #[test]
    fn what_a_dead_process_has_left_is_removed_and_no_other_folder_is() {
        let (state, path) = died();
        let (_others, other) = died();
        assert_eq!(sweep(state.path()).unwrap(), Some(path.clone()));
        assert!(!path.exists() && is_empty(&state) && other.is_dir());
        assert_eq!(sweep(state.path()).unwrap(), None);
        fs::remove_dir_all(other).unwrap();
    }

    #[test]
    fn what_is_gone_by_itself_is_only_forgotten() {
        let (state, path) = died();
        fs::remove_dir_all(path).unwrap();
        sweep(state.path()).unwrap();
        assert!(is_empty(&state));
    }

    #[test]
    fn links_are_removed_and_what_they_lead_to_is_not() {
        let precious = tempfile::tempdir().unwrap();
        fs::write(precious.path().join("db"), "kept").unwrap();
        let (state, path) = died();
        symlink(precious.path(), path.join("data")).unwrap();
        sweep(state.path()).unwrap();
        let (state_of_another, path) = died();
        fs::remove_dir_all(&path).unwrap();
        symlink(precious.path(), &path).unwrap();
        sweep(state_of_another.path()).unwrap();
        assert!(!path.exists());
        assert!(precious.path().join("db").exists());
    }

    #[test]
    fn one_that_cannot_be_removed_is_said_and_kept_in_mind() {
        let (state, path) = died();
        fs::remove_dir_all(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        let error = sweep(state.path()).unwrap_err();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert!(!is_empty(&state));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_in_its_place_already_is_somebody_elses() {
        let state = tempfile::tempdir().unwrap();
        let other = tempfile::Builder::new()
            .prefix("towline-")
            .tempdir()
            .unwrap();
        let deploy = other.path().file_name().unwrap().to_str().unwrap();
        let deploy = deploy.trim_start_matches("towline-");
        let refused = Scratch::new(state.path(), deploy, None).err().unwrap();
        assert!(refused.contains("exists"), "{refused}");
        assert!(other.path().is_dir() && is_empty(&state));
    }
}
