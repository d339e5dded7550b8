//! Whether a checkout may be put at a commit: nobody's changes, nobody in the middle of something, nothing in the way.
//!
//! A file is in the way where the commit has one that the index does not have. Those that git ignores are data until proved
//! otherwise: they are in the way also where `discard_changes` is set.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use towline_protocol::Sha;

use super::{
    GitError, Look,
    call::Call,
    look::look,
    run::{Place, Tools, nul_separated},
};

/// How many files in the way are asked about at a time: they are arguments.
const AT_A_TIME: usize = 500;

/// Refuses a checkout that may not be put at `to`, a commit that is here. Touches nothing. What is returned has all among its changes
/// that `discard_changes` throws away, files that git does not track included.
///
/// # Errors
/// What is against it, or that git failed.
pub async fn ready(tools: &mut Tools<'_>, place: &Place<'_>, to: &Sha) -> Result<Look, GitError> {
    let mut look = look(tools, place).await?;
    undisturbed(place, &look)?;
    let path = place.git.path.clone();
    let mut files = in_the_way(tools, place, to).await?;
    if place.git.discard_changes {
        let data = ignored(tools, place, files.clone()).await?;
        let lost = files.iter().filter(|file| !data.contains(file));
        look.changes
            .extend(lost.map(|file| file.display().to_string()));
        files = data;
    }
    if files.is_empty() {
        return Ok(look);
    }
    let files = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let sha = to.clone();
    Err(GitError::Obstructed { path, files, sha })
}

/// Refuses a checkout in which somebody is in the middle of something, or has changed what is not to be thrown away.
pub(super) fn undisturbed(place: &Place<'_>, look: &Look) -> Result<(), GitError> {
    let path = place.git.path.clone();
    if let Some(what) = look.in_progress {
        return Err(GitError::InProgress { path, what });
    }
    if !look.changes.is_empty() && !place.git.discard_changes {
        let changes = look.changes.clone();
        return Err(GitError::Changed { path, changes });
    }
    Ok(())
}

/// Files that git does not track, where `to` has files that the index has not.
async fn in_the_way(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    to: &Sha,
) -> Result<Vec<PathBuf>, GitError> {
    let call = Call::new(&[
        "diff-index",
        "--cached",
        "--no-renames",
        "--diff-filter=D",
        "--name-only",
        "-z",
        to.as_str(),
        "--",
    ]);
    let printed = tools.output(place, &call).await?;
    let top = &place.git.path;
    let mut files = Vec::new();
    for new in nul_separated(&printed) {
        match obstacle(top, &new) {
            Obstacle::None => {}
            Obstacle::Itself => files.push(new),
            Obstacle::Above(above) => {
                if !files.contains(&above) && !is_tracked(tools, place, &above).await? {
                    files.push(above);
                }
            }
            Obstacle::Folder => files.extend(untracked_in(tools, place, &new).await?),
        }
    }
    Ok(files)
}

/// What stands where a new file is to be written.
#[derive(Debug, PartialEq, Eq)]
enum Obstacle {
    None,
    /// A file, a link or something else of exactly this name.
    Itself,
    /// Something that is no folder where one must be.
    Above(PathBuf),
    /// A folder, perhaps an empty one.
    Folder,
}

fn obstacle(top: &Path, new: &Path) -> Obstacle {
    let mut above: Vec<&Path> = new.ancestors().skip(1).collect();
    above.pop();
    for folder in above.into_iter().rev() {
        match fs::symlink_metadata(top.join(folder)) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Obstacle::Above(folder.to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Obstacle::None,
            // What cannot be seen is taken to be there.
            Err(_) => return Obstacle::Itself,
        }
    }
    match fs::symlink_metadata(top.join(new)) {
        Ok(metadata) if metadata.is_dir() => Obstacle::Folder,
        Err(error) if error.kind() == ErrorKind::NotFound => Obstacle::None,
        Ok(_) | Err(_) => Obstacle::Itself,
    }
}

/// `git ls-files` of exactly these paths.
fn ls_files(options: &[&str], paths: &[PathBuf]) -> Call<'static> {
    let paths = paths.iter().map(|path| path.to_string_lossy().into_owned());
    Call::new(&["ls-files", "-z"])
        .args(options.iter().map(|&option| option.to_owned()))
        .args(["--".to_owned()])
        .args(paths)
        .env("GIT_LITERAL_PATHSPECS", "1")
}

async fn is_tracked(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    path: &Path,
) -> Result<bool, GitError> {
    let call = ls_files(&["--cached"], &[path.to_owned()]);
    Ok(!tools.output(place, &call).await?.is_empty())
}

async fn untracked_in(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    folder: &Path,
) -> Result<Vec<PathBuf>, GitError> {
    let call = ls_files(&["--others"], &[folder.to_owned()]);
    let printed = tools.output(place, &call).await?;
    Ok(nul_separated(&printed).collect())
}

/// Those of `files` that git ignores.
async fn ignored(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    files: Vec<PathBuf>,
) -> Result<Vec<PathBuf>, GitError> {
    let mut ignored = Vec::new();
    for some in files.chunks(AT_A_TIME) {
        let call = ls_files(&["--others", "--ignored", "--exclude-standard"], some);
        let printed = tools.output(place, &call).await?;
        ignored.extend(nul_separated(&printed));
    }
    Ok(ignored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_where_a_new_file_is_to_be_written() {
        let top = tempfile::tempdir().unwrap();
        let at = |path: &str| top.path().join(path);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        let found = |path: &str| obstacle(top.path(), Path::new(path));
        assert_eq!(found("new"), Obstacle::None);
        assert_eq!(found("new/deep/er"), Obstacle::None);
        assert_eq!(found("a/file"), Obstacle::Itself);
        assert_eq!(found("link"), Obstacle::Itself);
        assert_eq!(found("a/b"), Obstacle::Folder);
        assert_eq!(found("a/file/x/y"), Obstacle::Above("a/file".into()));
        assert_eq!(found("link/x"), Obstacle::Above("link".into()));
    }
}
