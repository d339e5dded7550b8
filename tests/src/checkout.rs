//! A repository that CI would build, and a host's clone of it.
//!
//! Not here: what runs from the clone, the deploy.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{git_server::GitServer, user};

/// The bare repository `origin.git`, the clone `build` that commits come from, and the host's clone `checkout`, in a folder
/// that is gone when this is dropped.
pub struct Checkout {
    folder: TempDir,
    /// Whom the host's clone belongs to, where that is somebody else.
    owner: Option<String>,
}

impl Checkout {
    /// A repository of one commit, which the host's clone is at.
    ///
    /// # Errors
    /// When git refuses.
    pub fn new(files: &[(&str, &str)]) -> Result<Self> {
        let folder = TempDir::with_prefix("towline-checkout-")?;
        let at = folder.path();
        git(
            None,
            at,
            &["init", "-q", "--bare", "-b", "main", "origin.git"],
        )?;
        git(None, at, &["clone", "-q", "origin.git", "build"])?;
        let checkout = Self {
            folder,
            owner: None,
        };
        checkout.commit("the first", files)?;
        let at = checkout.folder.path();
        git(None, at, &["clone", "-q", "origin.git", "checkout"])?;
        Ok(checkout)
    }

    /// Gives the host's clone to `user`, who works in it from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn give(&mut self, user: &str) -> Result<()> {
        // A folder for temporary files is its maker's alone.
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755))?;
        user::give(user, &self.path("checkout"))?;
        self.owner = Some(user.to_owned());
        Ok(())
    }

    /// A file or folder beside the repository: `origin.git`, `checkout` or what a test puts there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Commits these files, which can be executed, to `main`, and pushes them; returns the commit.
    ///
    /// # Errors
    /// When git refuses.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> Result<String> {
        let build = self.path("build");
        for (name, text) in files {
            let path = build.join(name);
            fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            fs::write(path, text)?;
        }
        git(None, &build, &["add", "--all", "--chmod=+x", "."])?;
        git(None, &build, &["commit", "-q", "-m", message])?;
        git(None, &build, &["push", "-q", "origin", "HEAD:main"])?;
        git(None, &build, &["rev-parse", "HEAD"])
    }

    /// The commit that the host's clone is at.
    ///
    /// # Errors
    /// When git refuses.
    pub fn head(&self) -> Result<String> {
        self.here(&["rev-parse", "HEAD"])
    }

    /// Serves the repository over HTTP, and lets the host's clone fetch from there.
    ///
    /// # Errors
    /// When the server cannot listen, or git refuses.
    pub fn over_http(&self) -> Result<GitServer> {
        let server = GitServer::start(self.folder.path())?;
        let url = format!("{}/origin.git", server.url);
        self.here(&["remote", "set-url", "origin", &url])?;
        Ok(server)
    }

    /// Runs git in the host's clone, as whom it belongs to.
    fn here(&self, args: &[&str]) -> Result<String> {
        git(self.owner.as_deref(), &self.path("checkout"), args)
    }
}

/// Runs git in `dir`, as `user` where one is named, with nobody's configuration; returns what it prints.
///
/// # Errors
/// When it fails, with its words.
fn git(user: Option<&str>, dir: &Path, args: &[&str]) -> Result<String> {
    let output = user::command(user, "git")
        .current_dir(dir)
        .args([
            "-c",
            "user.name=octocat",
            "-c",
            "user.email=octocat@example.com",
        ])
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .context("git")?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {words}", args.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
