//! A service's data, its backups, and what is looked at.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::*;

mod exchanging;
mod making;
mod refusing;
mod restoring;

/// Data at `data` and a state directory, in a folder of their own.
struct Scene {
    root: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        fs::create_dir(root.path().join("data")).unwrap();
        Self { root }
    }

    /// With one file, `data/a`.
    fn with_a(content: &str) -> Self {
        let scene = Self::new();
        fs::write(scene.data("a"), content).unwrap();
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        // Without symbolic links, should the folder for temporary files have some.
        self.root.path().canonicalize().unwrap().join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.at("data").join(name)
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.at("data")]
    }

    fn shelf(&self) -> Shelf {
        Shelf::of(&self.at("state"), "web".parse().unwrap())
    }

    async fn create(&self) -> Result<Made, BackupError> {
        self.create_of(&self.paths()).await
    }

    async fn create_of(&self, paths: &[PathBuf]) -> Result<Made, BackupError> {
        self.shelf().create(&name(1), &occasion(), paths).await
    }

    async fn restore(&self, replaced: Replaced) -> Result<Restored, BackupError> {
        self.restore_to(&self.paths(), replaced).await
    }

    async fn restore_to(
        &self,
        paths: &[PathBuf],
        replaced: Replaced,
    ) -> Result<Restored, BackupError> {
        self.shelf()
            .restore(&name(1), paths, DEPLOY, replaced)
            .await
    }

    /// The names in the folder that the data are in.
    fn beside(&self) -> Vec<String> {
        names_in(&self.at(""))
    }
}

const DEPLOY: &str = "0a1b2c3d";

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn occasion() -> Occasion {
    Occasion {
        deploy: DEPLOY.to_owned(),
        at: "2026-11-21T22:15:01Z".parse().unwrap(),
        sha: Some("3484a3f0123456789abcdef0123456789abcdef0".parse().unwrap()),
    }
}

/// The name of the backup that was made at this second.
fn name(second: u8) -> BackupName {
    format!("20261121T2215{second:02}Z-3484a3f.tar.gz")
        .parse()
        .unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What people would compare: each path with kind, mode, owner, time and content.
fn picture(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let content = if kind.is_symlink() {
            format!("-> {:?}", fs::read_link(&path).unwrap())
        } else if kind.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            todo.extend(entries.map(|entry| entry.unwrap().path()));
            "folder".to_owned()
        } else {
            let bytes = fs::read(&path).unwrap();
            format!("{} {:?}", bytes.len(), &bytes[..bytes.len().min(40)])
        };
        lines.push(format!(
            "{:?} {:o} {}:{} {} {content}",
            path.strip_prefix(root).unwrap(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
        ));
    }
    lines.sort();
    lines
}
