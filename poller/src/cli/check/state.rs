//! The state directory, as far as it shows from outside: whether state can be kept in it, and who else may look into it.

use std::{os::unix::fs::PermissionsExt, path::Path};

use rustix::{
    fs::{Access, access},
    io::Errno,
};

/// Why no state can be kept in `state`, if so. It need not be there yet: then what is above it counts.
pub(super) fn unusable(state: &Path) -> Option<String> {
    let above = standing(state);
    let what = match above == state {
        true => String::new(),
        false => format!(", in which {} is to be made,", state.display()),
    };
    let shown = above.display();
    if !above.is_dir() {
        return Some(format!(
            "{shown}{what} is not a folder; take it away, or name another one by --state-dir"
        ));
    }
    (may_write(above) == Err(Errno::ROFS)).then(|| {
        format!(
            "{shown}{what} is on a disk that is mounted read-only; name another one by --state-dir"
        )
    })
}

/// What is to be minded of it, if anything.
pub(super) fn warning(state: &Path) -> Option<String> {
    let above = standing(state);
    if may_write(above) == Err(Errno::ACCESS) {
        return Some(format!(
            "{} may not be written by the user that has run this check, and then neither by towline as that user",
            above.display()
        ));
    }
    open_to_others(state)
}

/// That others may look into the state directory, which has backups and what deploys have said.
fn open_to_others(state: &Path) -> Option<String> {
    let mode = state.metadata().ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        let (shown, mode) = (state.display(), mode & 0o7777);
        format!("{shown} is open to other users (mode {mode:04o}); run: chmod 700 {shown}")
    })
}

fn may_write(folder: &Path) -> Result<(), Errno> {
    access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
}

/// `path`, or the nearest above it that is there.
fn standing(path: &Path) -> &Path {
    let mut above = path.ancestors();
    let is_there = |path: &&Path| path.symlink_metadata().is_ok();
    // Above a path that begins here is the folder of this process.
    above.find(is_there).unwrap_or(Path::new("."))
}
