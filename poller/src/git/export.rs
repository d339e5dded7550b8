//! A copy of a commit's files beside the checkout, which is not touched: for what must be known of a commit before.

use std::{
    fs,
    path::{Path, PathBuf},
};

use towline_protocol::Sha;

use super::{
    GitError,
    call::Call,
    lfs,
    open::open,
    run::{Place, Tools, nul_separated, text},
    submodule,
};

/// What the index of the copy is called in it until it is written.
const INDEX: &str = ".towline-index";

/// Writes the files of a commit that is here, those of its submodules too, into the folder `into`, which the service's user must
/// be able to write.
///
/// # Errors
/// When git fails, or a submodule was not fetched.
pub async fn export(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    sha: &Sha,
    into: &Path,
) -> Result<(), GitError> {
    let repository = open(tools, place).await?;
    let by_lfs = lfs::is_used(tools, place, sha).await?;
    write(tools, place, &repository.git_dir, sha, into, by_lfs).await?;
    let stores = submodule::stores(tools, place, &repository.git_dir, sha).await?;
    for (path, store, its) in stores {
        // The commit's own files have made its folder.
        write(tools, place, &store, &its, &into.join(path), by_lfs).await?;
    }
    Ok(())
}

async fn write(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    git_dir: &Path,
    sha: &Sha,
    into: &Path,
    by_lfs: bool,
) -> Result<(), GitError> {
    let index = into.join(INDEX);
    let call = Call::new(&["-c", "core.sparseCheckout=false"])
        .args([
            format!("--git-dir={}", text(git_dir)?),
            format!("--work-tree={}", text(into)?),
        ])
        .args(["read-tree", "-m", "-u", sha.as_str()].map(str::to_owned))
        .env("GIT_INDEX_FILE", text(&index)?)
        .lfs(by_lfs)
        .limit(tools.limits.files);
    let written = tools.output(place, &call).await;
    // It is in the way of nothing but a file of its name.
    let _ = fs::remove_file(&index);
    written.map(drop)
}

/// Files and folders of the checkout that git does not track, ignored ones included; of a folder without any tracked file
/// only its own path. Relative to the checkout.
///
/// # Errors
/// When git fails.
pub async fn others(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<Vec<PathBuf>, GitError> {
    let call = Call::new(&["ls-files", "--others", "--directory", "-z"]);
    let printed = tools.output(place, &call).await?;
    let paths = nul_separated(&printed).map(|path| path.components().collect());
    Ok(paths.collect())
}
