//! A checkout as it is: where, what was changed, what somebody is in the middle of.

use super::{
    Checkout, GitError, Look,
    call::Call,
    lfs,
    open::{Repository, open},
    run::{Place, Tools},
};

/// What lies in the git folder while something has begun (git, `wt_status_get_state`).
const BEGUN: [(&str, &str); 6] = [
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase or am"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("BISECT_LOG", "bisect"),
];

/// The checkout at `place` as it is now. Writes nothing.
///
/// # Errors
/// When it is no checkout of the service's user, has no commit yet, or git fails.
pub async fn look(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<Look, GitError> {
    let repository = open(tools, place).await?;
    look_at(tools, place, &repository).await
}

pub(super) async fn look_at(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    repository: &Repository,
) -> Result<Look, GitError> {
    let head = tools.commit_of(place, "HEAD").await?;
    let commit = head.ok_or_else(|| GitError::NoCheckout {
        path: place.git.path.clone(),
        why: "it has no commit yet; check one out first".to_owned(),
    })?;
    let lfs = lfs::is_used(tools, place, &commit).await?;
    // Where it is missing, git's own settings say what files are to look like.
    let by_lfs = lfs && lfs::is_installed(tools, place).await?;
    let status = Call::new(&[
        "status",
        "--porcelain=v2",
        "-z",
        "--untracked-files=no",
        "--ignore-submodules=untracked",
    ]);
    let status = tools.output(place, &status.lfs(by_lfs)).await?;
    let branch = Call::new(&["symbolic-ref", "--quiet", "HEAD"]);
    let branch = tools.call(place, &branch).await?;
    let branch = String::from_utf8_lossy(&branch.stdout).into_owned();
    let branch = branch.trim_end().strip_prefix("refs/heads/");
    let submodules = tools.has(place, &format!("{commit}:.gitmodules")).await?;
    Ok(Look {
        at: Checkout {
            branch: branch.map(str::to_owned),
            commit,
        },
        changes: changes(&status),
        in_progress: in_progress(repository),
        submodules,
        lfs,
    })
}

fn in_progress(repository: &Repository) -> Option<&'static str> {
    let begun = |(file, what): &(&str, &'static str)| {
        let is_there = repository.git_dir.join(file).symlink_metadata().is_ok();
        is_there.then_some(*what)
    };
    BEGUN.iter().find_map(begun)
}

/// The paths in what `git status --porcelain=v2 -z` printed.
fn changes(printed: &[u8]) -> Vec<String> {
    let mut records = printed
        .split(|&byte| byte == 0)
        .map(String::from_utf8_lossy);
    let mut paths = Vec::new();
    while let Some(record) = records.next() {
        // How many words stand before the path.
        let before = match record.chars().next() {
            Some('1') => 8,
            Some('2') => 9,
            Some('u') => 10,
            Some(_) | None => continue,
        };
        paths.extend(
            record
                .splitn(before + 1, ' ')
                .nth(before)
                .map(str::to_owned),
        );
        if record.starts_with('2') {
            // Where it was before.
            records.next();
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_renamed_and_unmerged_files_are_named() {
        let printed = b"1 .M N... 100644 100644 100644 aaaa bbbb with space.txt\0\
            2 R. N... 100644 100644 100644 aaaa bbbb R100 new\0old\0\
            u UU N... 100644 100644 100644 100644 a b c both\0? untracked\0";
        assert_eq!(changes(printed), ["with space.txt", "new", "both"]);
        assert!(changes(b"").is_empty());
    }
}
