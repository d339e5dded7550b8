//! A small file system, which can be full. Only the sandbox's own namespace of mounts may have it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A small file system on `path`.
pub(crate) struct Small {
    path: PathBuf,
}

impl Small {
    pub(crate) fn on(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=8m,mode=700", "small"], &path);
        Self { path }
    }

    pub(crate) fn fill(&self) {
        let rest = vec![0; 8 << 20];
        fs::write(self.path.join("rest"), rest).unwrap_err();
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.path.join("rest")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.path).status().ok();
    }
}

pub(crate) fn mount(options: &[&str], path: &Path) {
    let mounted = Command::new("mount").args(options).arg(path).status();
    assert!(mounted.unwrap().success());
}
