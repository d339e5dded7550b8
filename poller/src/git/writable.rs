//! Whether the service's user may write what a deploy writes of a git folder. After a git that somebody else has run there, root for
//! the most part, single folders below it are theirs, and a fetch breaks off where it comes upon one of them.

use std::path::{Path, PathBuf};

use super::{
    GitError,
    call::Call,
    run::{Place, Tools, nul_separated, owner, text},
};

/// What a deploy writes to beside its remote's branches, below the folder that work trees share.
const WRITTEN: [&str; 5] = ["objects", "refs/tags", "refs/towline", "modules", "lfs"];
/// Prints the first folder, or file that is written to and not replaced, that its user may not write.
const SEARCH: [&str; 10] = [
    "(",
    "-type",
    "d",
    "-o",
    "-path",
    "*/logs/*",
    ")",
    "!",
    "-writable",
    "-print0",
];

/// Refuses a checkout whose git folder the service's user may not write. Writes nothing itself. Where `find` does not know how to
/// look, as BusyBox's does not, nothing is found.
///
/// # Errors
/// What may not be written, or that git failed.
pub async fn writable(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<(), GitError> {
    let call = Call::new(&["rev-parse", "--git-dir", "--git-common-dir"]);
    let printed = tools.output(place, &call).await?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    // Both are told as seen from the checkout, or absolute.
    let mut folders = printed.lines().map(|folder| place.git.path.join(folder));
    let (Some(own), Some(common)) = (folders.next(), folders.next()) else {
        return Ok(());
    };
    match tools
        .not_writable(place, &written(place, &own, &common))
        .await?
    {
        Some(what) => Err(refusal(place, what)),
        None => Ok(()),
    }
}

/// What is there of all that a deploy writes to.
fn written(place: &Place<'_>, own: &Path, common: &Path) -> Vec<PathBuf> {
    let branches = format!("refs/remotes/{}", place.git.remote);
    let logs = common.join("logs").join(&branches);
    let all = WRITTEN.iter().map(|&name| common.join(name));
    let all = all.chain([common.join(&branches), logs, own.join("logs/HEAD")]);
    all.filter(|path| path.symlink_metadata().is_ok()).collect()
}

fn refusal(place: &Place<'_>, what: PathBuf) -> GitError {
    let own = || {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
        let user = user.ok().flatten();
        user.map_or_else(|| "towline".to_owned(), |user| user.name)
    };
    GitError::NotWritable {
        path: place.git.path.clone(),
        owner: owner(&what),
        what,
        user: place.user.map_or_else(own, str::to_owned),
    }
}

impl Tools<'_> {
    /// The first below `paths` that the service's user may not write.
    async fn not_writable(
        &mut self,
        place: &Place<'_>,
        paths: &[PathBuf],
    ) -> Result<Option<PathBuf>, GitError> {
        if paths.is_empty() {
            return Ok(None);
        }
        let mut argv = vec!["find".to_owned()];
        for path in paths {
            argv.push(text(path)?);
        }
        argv.extend(SEARCH.map(str::to_owned));
        argv.push("-quit".to_owned());
        match self.program(place, argv).await {
            Ok(said) => Ok(nul_separated(&said.stdout).next()),
            // There is no such program.
            Err(GitError::NotStarted(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
