//! A checkout put at a commit, and put back. Each may be made again after it was broken off in the middle.

use std::{
    fs,
    path::{Path, PathBuf},
};

use towline_protocol::Sha;

use super::{
    Checkout, Entry, GitError, aside,
    call::Call,
    error::few,
    lfs,
    look::look_at,
    open::{Repository, open},
    run::{Place, Tools},
    submodule,
};

/// Files that git makes while it changes what they are named after; a git that was killed leaves them.
const LOCKS: [&str; 3] = ["index.lock", "HEAD.lock", "config.lock"];

/// Puts the checkout at exactly `to`, which [`super::fetch`] has fetched and [`super::ready`] has found nothing against. `HEAD` is detached:
/// no branch of the user's moves.
///
/// # Errors
/// When git fails, or what is there then is not that commit with nothing changed.
pub async fn check_out(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    to: &Sha,
    entry: Entry,
) -> Result<(), GitError> {
    let repository = open(tools, place).await?;
    let forced = match entry {
        Entry::First => place.git.discard_changes,
        Entry::AfterInterruption => {
            clear_locks(tools, place, &repository.git_dir).await?;
            true
        }
    };
    put(tools, place, &repository, to, forced).await?;
    let wanted = Checkout {
        commit: to.clone(),
        branch: None,
    };
    verify(tools, place, &repository, &wanted).await
}

/// Puts the checkout back at `old`, whatever became of its tracked files since, and on its branch if that is still there. Files that
/// git does not track stay; where `old` has files of its own, they are moved aside by the name of `deploy`, and returned: what lies
/// aside of that deploy, paths from the checkout's top.
///
/// # Errors
/// When git fails, or what is there then is not that commit with nothing changed.
pub async fn check_out_old(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    old: &Checkout,
    entry: Entry,
    deploy: &str,
) -> Result<Vec<PathBuf>, GitError> {
    let repository = open(tools, place).await?;
    // A deploy that was interrupted may have been so in a git, whichever way it goes.
    if entry == Entry::AfterInterruption {
        clear_locks(tools, place, &repository.git_dir).await?;
    }
    if let Some(head) = tools.commit_of(place, "HEAD").await? {
        submodule::leave(tools, place, &repository.git_dir, &head, &old.commit).await?;
    }
    aside::clear_the_way(tools, place, &old.commit, deploy).await?;
    put(tools, place, &repository, &old.commit, true).await?;
    let branch = on_branch(tools, place, old).await?;
    let wanted = Checkout {
        commit: old.commit.clone(),
        branch,
    };
    verify(tools, place, &repository, &wanted).await?;
    aside::moved(tools, place, deploy).await
}

async fn put(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    repository: &Repository,
    to: &Sha,
    forced: bool,
) -> Result<(), GitError> {
    let done = put_files(tools, place, to, forced).await;
    if let Err(GitError::TimedOut { .. } | GitError::Killed { .. }) = done {
        // The locks are its own then, and would be in the way of going back.
        clear_locks(tools, place, &repository.git_dir).await?;
    }
    done
}

async fn put_files(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    to: &Sha,
    forced: bool,
) -> Result<(), GitError> {
    let uses_lfs = lfs::is_used(tools, place, to).await?;
    if uses_lfs && !lfs::is_installed(tools, place).await? {
        return Err(lfs::missing(to));
    }
    let how = if forced {
        "--force"
    } else {
        "--no-overwrite-ignore"
    };
    let call = Call::new(&["checkout", "--quiet", how, "--detach", to.as_str(), "--"]);
    let call = call.lfs(uses_lfs).limit(tools.limits.files);
    tools.output(place, &call).await?;
    if tools.has(place, &format!("{to}:.gitmodules")).await? {
        submodule::put(tools, place, forced, uses_lfs).await?;
    }
    if uses_lfs {
        lfs::fill(tools, place, to).await?;
    }
    Ok(())
}

/// Goes on to the branch that was left, if it still is that commit. Which branch `HEAD` stands for is all that changes.
async fn on_branch(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    old: &Checkout,
) -> Result<Option<String>, GitError> {
    let Some(branch) = &old.branch else {
        return Ok(None);
    };
    let name = format!("refs/heads/{branch}");
    if tools.commit_of(place, &name).await?.as_ref() != Some(&old.commit) {
        return Ok(None);
    }
    let call = Call::new(&[
        "symbolic-ref",
        "-m",
        "towline: back on the branch",
        "HEAD",
        &name,
    ]);
    tools.output(place, &call).await?;
    Ok(Some(branch.clone()))
}

/// Looks whether it is as it should be.
async fn verify(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    repository: &Repository,
    wanted: &Checkout,
) -> Result<(), GitError> {
    let look = look_at(tools, place, repository).await?;
    let found = if look.at != *wanted {
        let branch = look.at.branch.as_deref().unwrap_or("no branch");
        format!("it is at {} on {branch}", look.at.commit.short())
    } else if look.changes.is_empty() {
        return Ok(());
    } else {
        format!("changed are {}", few(&look.changes))
    };
    Err(GitError::Elsewhere {
        path: place.git.path.clone(),
        wanted: wanted.commit.clone(),
        found,
    })
}

/// Removes the locks that a git has left which is gone, in the checkout and its submodules.
async fn clear_locks(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    git_dir: &Path,
) -> Result<(), GitError> {
    tools.remove(place, &locks(git_dir)).await
}

fn locks(git_dir: &Path) -> Vec<PathBuf> {
    let own = LOCKS.map(|lock| git_dir.join(lock));
    let stores = stores_below(&git_dir.join("modules"));
    let theirs = stores.iter().flat_map(|store| locks(store));
    own.into_iter().chain(theirs).collect()
}

/// The stores of submodules in a folder `modules`, whose names may have slashes.
fn stores_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let stores = folders.map(|entry| entry.path()).flat_map(|path| {
        if path.join("HEAD").is_file() {
            vec![path]
        } else {
            stores_below(&path)
        }
    });
    stores.collect()
}
