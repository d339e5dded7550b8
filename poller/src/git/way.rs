//! What stands where a commit has files that are not there now: files, links and folders that git does not track.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use towline_protocol::Sha;

use super::{
    GitError,
    call::Call,
    run::{Place, Tools, nul_separated},
};

/// A file of a commit with something in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blocked {
    /// The file, from the top of the checkout.
    pub(super) file: PathBuf,
    /// Its mode in the commit, as git writes it: `100644`, `120000` for a link, `160000` for a submodule.
    pub(super) mode: String,
    /// What it is in the commit: its object's name.
    pub(super) object: String,
    /// What is there.
    pub(super) by: Obstacle,
}

/// What stands where a new file is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// A file, a link or something else of exactly this name.
    Itself,
    /// Something that is no folder where one must be.
    Above(PathBuf),
    /// A folder, perhaps an empty one.
    Folder,
}

/// The files of `to` that are not tracked now, or are gone, where something stands.
pub(super) async fn blocked(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    to: &Sha,
) -> Result<Vec<Blocked>, GitError> {
    let call = Call::new(&[
        "diff-index",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--diff-filter=D",
        "-z",
        to.as_str(),
        "--",
    ]);
    let printed = tools.output(place, &call).await?;
    let missing = missing(&printed).into_iter();
    let blocked = missing.filter_map(|(file, mode, object)| {
        let by = obstacle(&place.git.path, &file)?;
        Some(Blocked {
            file,
            mode,
            object,
            by,
        })
    });
    Ok(blocked.collect())
}

/// Path, mode and object of each file in what `git diff-index --raw -z` printed.
fn missing(printed: &[u8]) -> Vec<(PathBuf, String, String)> {
    let mut records = nul_separated(printed);
    let mut missing = Vec::new();
    while let (Some(how), Some(file)) = (records.next(), records.next()) {
        let how = how.to_string_lossy().into_owned();
        let mut words = how.trim_start_matches(':').split(' ').map(str::to_owned);
        if let (Some(mode), Some(object)) = (words.next(), words.nth(1)) {
            missing.push((file, mode, object));
        }
    }
    missing
}

fn obstacle(top: &Path, new: &Path) -> Option<Obstacle> {
    let mut above: Vec<&Path> = new.ancestors().skip(1).collect();
    above.pop();
    for folder in above.into_iter().rev() {
        match fs::symlink_metadata(top.join(folder)) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Some(Obstacle::Above(folder.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            // What cannot be seen is taken to be there.
            Err(_) => return Some(Obstacle::Itself),
        }
    }
    match fs::symlink_metadata(top.join(new)) {
        Ok(metadata) if metadata.is_dir() => Some(Obstacle::Folder),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Ok(_) | Err(_) => Some(Obstacle::Itself),
    }
}

/// `git ls-files` of exactly these paths.
pub(super) fn ls_files(options: &[&str], paths: &[PathBuf]) -> Call<'static> {
    let paths = paths.iter().map(|path| path.to_string_lossy().into_owned());
    Call::new(&["ls-files", "-z"])
        .args(options.iter().map(|&option| option.to_owned()))
        .args(["--".to_owned()])
        .args(paths)
        .env("GIT_LITERAL_PATHSPECS", "1")
}

/// Whether git tracks exactly this, not only what was below it.
pub(super) async fn is_tracked(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    path: &Path,
) -> Result<bool, GitError> {
    let call = ls_files(&["--cached"], &[path.to_owned()]);
    let printed = tools.output(place, &call).await?;
    Ok(nul_separated(&printed).any(|tracked| tracked == path))
}

/// The files below a folder that git does not track.
pub(super) async fn untracked_in(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    folder: &Path,
) -> Result<Vec<PathBuf>, GitError> {
    let call = ls_files(&["--others"], &[folder.to_owned()]);
    let printed = tools.output(place, &call).await?;
    Ok(nul_separated(&printed).collect())
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
        assert_eq!(found("new"), None);
        assert_eq!(found("new/deep/er"), None);
        assert_eq!(found("a/file"), Some(Obstacle::Itself));
        assert_eq!(found("link"), Some(Obstacle::Itself));
        assert_eq!(found("a/b"), Some(Obstacle::Folder));
        assert_eq!(found("a/file/x/y"), Some(Obstacle::Above("a/file".into())));
        assert_eq!(found("link/x"), Some(Obstacle::Above("link".into())));
    }

    #[test]
    fn what_a_commit_has_and_is_not_there_is_read() {
        let printed = b":100644 000000 aaaa 0000 D\0a b\0:160000 000000 bbbb 0000 D\0lib\0";
        let read = |file: &str, mode: &str, object: &str| {
            (file.into(), mode.to_owned(), object.to_owned())
        };
        let expected = [read("a b", "100644", "aaaa"), read("lib", "160000", "bbbb")];
        assert_eq!(missing(printed), expected);
    }
}
