//! What is in the way of a checkout that must go back: moved aside, since it may be data. It lies beside then, as
//! `NAME.towline-DEPLOY`; nothing is removed, and nothing is moved onto something else.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use towline_protocol::Sha;

use super::{
    GitError,
    call::Call,
    export::others,
    lfs,
    run::{Place, Tools, text},
    way::{Blocked, Obstacle, blocked, is_tracked, untracked_in},
};

/// How many files git is asked about at a time: they are arguments.
const AT_A_TIME: usize = 500;

/// Moves what git does not track out of the way of `to`, a commit that is here. What is as in `to` stays: it is what an earlier try
/// has written, or loses nothing.
pub(super) async fn clear_the_way(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    to: &Sha,
    deploy: &str,
) -> Result<(), GitError> {
    for path in in_the_way(tools, place, to).await? {
        move_aside(tools, place, &path, deploy).await?;
    }
    Ok(())
}

/// What was moved aside by `deploy`, whenever that was: paths from the checkout's top.
pub(super) async fn moved(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    deploy: &str,
) -> Result<Vec<PathBuf>, GitError> {
    let mark = mark(deploy);
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.rsplit_once(&mark).map(|(_, number)| number);
        number.is_some_and(|it| it.is_empty() || it.starts_with('.'))
    };
    let mut others = others(tools, place).await?;
    others.retain(is_ours);
    Ok(others)
}

fn mark(deploy: &str) -> String {
    format!(".towline-{deploy}")
}

async fn in_the_way(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    to: &Sha,
) -> Result<Vec<PathBuf>, GitError> {
    let (mut paths, mut files) = (Vec::new(), Vec::new());
    for one in blocked(tools, place, to).await? {
        let path = place.git.path.join(&one.file);
        match &one.by {
            Obstacle::Itself => files.push(one),
            Obstacle::Above(above) => {
                if !paths.contains(above) && !is_tracked(tools, place, above).await? {
                    paths.push(above.clone());
                }
            }
            Obstacle::Folder if one.mode == "160000" => {
                if !path.join(".git").exists() && !is_empty(&path) {
                    paths.push(one.file);
                }
            }
            Obstacle::Folder => {
                if !untracked_in(tools, place, &one.file).await?.is_empty() {
                    paths.push(one.file);
                }
            }
        }
    }
    paths.extend(different(tools, place, to, files).await?);
    Ok(paths)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Those of `files` in whose place is something else than what `to` has there.
async fn different(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    to: &Sha,
    files: Vec<Blocked>,
) -> Result<Vec<PathBuf>, GitError> {
    let top = &place.git.path;
    let is_plain = |one: &Blocked| {
        let metadata = fs::symlink_metadata(top.join(&one.file));
        one.mode.starts_with("100") && metadata.is_ok_and(|it| it.is_file())
    };
    let (plain, others): (Vec<_>, Vec<_>) = files.into_iter().partition(is_plain);
    let mut different: Vec<PathBuf> = others.into_iter().map(|one| one.file).collect();
    let by_lfs = lfs::is_used(tools, place, to).await? && lfs::is_installed(tools, place).await?;
    for some in plain.chunks(AT_A_TIME) {
        let names: Result<Vec<_>, _> = some.iter().map(|one| text(&one.file)).collect();
        let call = Call::new(&["hash-object", "--"]).args(names?).lfs(by_lfs);
        let said = tools.call(place, &call).await?;
        let printed = String::from_utf8_lossy(&said.stdout).into_owned();
        let mut objects = printed.lines();
        // What git could not read is taken to be something else.
        let changed = some
            .iter()
            .filter(|one| objects.next() != Some(&*one.object));
        different.extend(changed.map(|one| one.file.clone()));
    }
    Ok(different)
}

/// Moves one thing, by the service's user, to a name that is free.
async fn move_aside(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    path: &Path,
    deploy: &str,
) -> Result<(), GitError> {
    let top = &place.git.path;
    let aside = free(top, path, deploy);
    tools.rename(place, path, &aside).await?;
    if fs::symlink_metadata(top.join(path)).is_ok() {
        let (path, aside) = (path.display(), aside.display());
        return Err(GitError::Failed {
            what: "mv".to_owned(),
            said: format!("{path} is still there, and not at {aside}; move it away"),
        });
    }
    Ok(())
}

/// A name beside `path` at which nothing is.
fn free(top: &Path, path: &Path, deploy: &str) -> PathBuf {
    let named = |number: u32| {
        let mut name = OsString::from(path);
        name.push(mark(deploy));
        if number > 1 {
            name.push(format!(".{number}"));
        }
        PathBuf::from(name)
    };
    let mut number = 1;
    while fs::symlink_metadata(top.join(named(number))).is_ok() {
        number += 1;
    }
    named(number)
}
