//! Git LFS: whether a commit uses it, its objects fetched before anything is touched, and no pointer left where a file should be.

use towline_protocol::Sha;

use super::{
    GitError,
    call::Call,
    remote::Remote,
    run::{Place, Tools},
    words,
};

/// Whether a file `.gitattributes` of the commit names it.
pub(super) async fn is_used(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    sha: &Sha,
) -> Result<bool, GitError> {
    let call = Call::new(&[
        "grep",
        "--quiet",
        "--fixed-strings",
        "-e",
        "filter=lfs",
        sha.as_str(),
        "--",
        ":(top,glob)**/.gitattributes",
    ]);
    tools.holds(place, &call).await
}

/// Whether the service's user has it.
pub(super) async fn is_installed(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
) -> Result<bool, GitError> {
    let said = tools.call(place, &Call::new(&["lfs", "version"])).await?;
    Ok(said.status == 0)
}

/// It is not installed.
pub(super) fn missing(sha: &Sha) -> GitError {
    GitError::Lfs {
        sha: sha.clone(),
        trouble: None,
        why: "git-lfs is not installed here; install it".to_owned(),
    }
}

/// Fetches the objects of the commit's files. Touches no file of the checkout.
pub(super) async fn fetch(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    remote: &Remote,
    sha: &Sha,
) -> Result<(), GitError> {
    if !is_installed(tools, place).await? {
        return Err(missing(sha));
    }
    let call = Call::new(&["lfs", "fetch", &remote.name, sha.as_str()])
        .lfs(true)
        .network(&remote.network)
        .limit(tools.limits.network);
    let said = tools.call(place, &call).await?;
    if said.status == 0 {
        return Ok(());
    }
    Err(GitError::Lfs {
        sha: sha.clone(),
        trouble: Some(words::lfs_trouble(&said.stderr)),
        why: format!("they were not fetched: {}", words::words(&said.stderr)),
    })
}

/// Puts files where pointers to them are, and refuses when one is left.
pub(super) async fn fill(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    sha: &Sha,
) -> Result<(), GitError> {
    if pointers(tools, place).await? == 0 {
        return Ok(());
    }
    let call = Call::new(&["lfs", "checkout"]).lfs(true);
    let call = call.limit(tools.limits.files);
    tools.output(place, &call).await?;
    match pointers(tools, place).await? {
        0 => Ok(()),
        left => Err(GitError::Lfs {
            sha: sha.clone(),
            trouble: None,
            why: format!("{left} of them are pointers still"),
        }),
    }
}

/// How many files of the checkout are pointers: `git lfs ls-files` prints `-` for them, `*` for others.
async fn pointers(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<usize, GitError> {
    let call = Call::new(&["lfs", "ls-files"]).lfs(true);
    let printed = tools.output(place, &call).await?;
    let printed = String::from_utf8_lossy(&printed);
    let is_pointer = |line: &&str| line.split(' ').nth(1) == Some("-");
    Ok(printed.lines().filter(is_pointer).count())
}
