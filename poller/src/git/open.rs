//! Whether there is a git that can do what is asked of it, and a checkout where the host's file says.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    GitError,
    call::Call,
    run::{Place, Tools},
    words,
};

/// The oldest git whose options are all known here: `--no-write-fetch-head` came with 2.29, and 2.30 is Debian 11's.
const OLDEST: (u32, u32) = (2, 30);

/// What a checkout is beside its files.
pub(super) struct Repository {
    /// The folder of its own refs and index.
    pub(super) git_dir: PathBuf,
    /// Whether its history is cut off.
    pub(super) shallow: bool,
}

/// Refuses a git that is not there or too old.
pub(super) async fn usable(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<(), GitError> {
    let printed = tools.output(place, &Call::new(&["version"])).await?;
    let text = String::from_utf8_lossy(&printed);
    let text = text.trim();
    match version(text) {
        Some(found) if found < OLDEST => Err(GitError::Unusable {
            why: format!(
                "{text} is too old; install git {}.{} or newer",
                OLDEST.0, OLDEST.1
            ),
        }),
        Some(_) => Ok(()),
        None => Err(GitError::Unusable {
            why: format!("`git version` said {text:?}, which is no version"),
        }),
    }
}

/// Major and minor number of `git version 2.39.5 (Apple Git-154)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("git version ")?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?;
    let end = minor
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(minor.len());
    Some((major, minor.get(..end)?.parse().ok()?))
}

/// The checkout at `place`, whose top must be there.
pub(super) async fn open(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<Repository, GitError> {
    let path = &place.git.path;
    let no_checkout = |why: String| GitError::NoCheckout {
        path: path.clone(),
        why,
    };
    if path.is_file() {
        return Err(no_checkout(
            "it is a file, and no folder; name the top folder of the checkout".to_owned(),
        ));
    }
    if !is_folder(path) {
        return Err(no_checkout(
            "there is no such folder; clone the repository there first".to_owned(),
        ));
    }
    let call = Call::new(&[
        "rev-parse",
        "--is-inside-work-tree",
        "--is-shallow-repository",
        "--show-prefix",
        "--absolute-git-dir",
    ]);
    let said = tools.call(place, &call).await?;
    if said.status != 0 && said.stderr.contains("not a git repository") {
        return Err(no_checkout(
            "it is no git checkout; clone the repository there first".to_owned(),
        ));
    }
    if said.status != 0 {
        return Err(no_checkout(words::words(&said.stderr)));
    }
    let printed = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut lines = printed.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (inside, shallow, prefix) = (line(), line(), line());
    let git_dir = line().trim_end_matches('\n');
    if inside != "true" {
        return Err(no_checkout(
            "it has no work tree (a bare repository, or its inside); name a checkout".to_owned(),
        ));
    }
    if !prefix.is_empty() {
        return Err(no_checkout(format!(
            "it is a folder inside of a checkout, whose top is {}; name that",
            above(path, prefix).display()
        )));
    }
    Ok(Repository {
        git_dir: PathBuf::from(git_dir),
        shallow: shallow == "true",
    })
}

fn is_folder(path: &Path) -> bool {
    // What this process may not see, the service's user perhaps may.
    match fs::metadata(path) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

/// The folder that `path` is `prefix` (such as `a/b/`) below of.
fn above<'p>(path: &'p Path, prefix: &str) -> &'p Path {
    let depth = prefix.split('/').filter(|part| !part.is_empty()).count();
    path.ancestors().nth(depth).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_git_and_its_kin_print_them() {
        assert_eq!(version("git version 2.39.5"), Some((2, 39)));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("git version 2.47.rc0.12"), Some((2, 47)));
        assert_eq!(version("git version 3.0-rc1"), Some((3, 0)));
        assert_eq!(version("gitty 2.39"), None);
        assert!(version("git version 2.25.1").unwrap() < OLDEST);
    }
}
