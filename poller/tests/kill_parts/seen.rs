//! What lies in folders and who runs there, a line each.

use std::{fs, path::Path};

use crate::remote::git;

/// A checkout: its commit, branch, changes and refs, and what a git that was cut off has left in it.
pub(crate) fn checkout(path: &Path) -> Vec<String> {
    let git = |args: &[&str]| git(path, args);
    let mut seen = vec![
        git(&["rev-parse", "HEAD"]),
        git(&["rev-parse", "--abbrev-ref", "HEAD"]),
        git(&["status", "--porcelain", "--ignored"]),
        git(&["for-each-ref"]),
    ];
    let lying = files(&path.join(".git")).into_iter();
    seen.extend(lying.filter(|path| path.contains("lock") || path.contains("tmp_")));
    seen
}

/// The programs that run in these folders, or are told of them.
pub(crate) fn running(folders: &[&Path]) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ours = processes.filter(|process| {
        let cwd = fs::read_link(process.path().join("cwd")).unwrap_or_default();
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let mut folders = folders.iter();
        folders.any(|folder| cwd.starts_with(folder) || line.contains(folder.to_str().unwrap()))
    });
    let named = ours.map(|process| {
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        format!("process {:?} {}", process.file_name(), name.trim())
    });
    named.collect()
}

/// The names in a folder; none where there is none.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The files in a folder and those below it.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let paths = names(folder).into_iter().map(|name| folder.join(name));
    let below = paths.flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path.display().to_string()],
    });
    below.collect()
}
