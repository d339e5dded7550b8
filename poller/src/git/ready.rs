//! Whether a checkout may be put at a commit: nobody's changes, nobody in the middle of something, nothing in the way.
//!
//! A file is in the way where the commit has one that is not there, or not tracked. Those that git ignores are data until proved
//! otherwise: they are in the way also where `discard_changes` is set.

use std::path::PathBuf;

use towline_protocol::Sha;

use super::{
    GitError, Look,
    look::look,
    run::{Place, Tools, nul_separated},
    way::{Blocked, Obstacle, blocked, is_tracked, ls_files, untracked_in},
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

/// Files that git does not track, where `to` has files that are not there, or not tracked.
async fn in_the_way(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    to: &Sha,
) -> Result<Vec<PathBuf>, GitError> {
    let mut files = Vec::new();
    for Blocked { file, by, .. } in blocked(tools, place, to).await? {
        match by {
            Obstacle::Itself => files.push(file),
            Obstacle::Above(above) => {
                if !files.contains(&above) && !is_tracked(tools, place, &above).await? {
                    files.push(above);
                }
            }
            Obstacle::Folder => files.extend(untracked_in(tools, place, &file).await?),
        }
    }
    Ok(files)
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
