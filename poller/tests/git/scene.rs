//! Where each test begins: a repository at a server, a checkout of it, and the tools to work on that.

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use towline::{
    git::{self, Checkout, Entry, Fetched, GitError, Limits, Look, Place, Tools, Wanted},
    process::{Identity, Launcher},
    settings::Git,
};
use towline_protocol::{Glob, Sha};
use towline_tests::git_server::GitServer;

/// A world of one server and one host.
pub(crate) struct Scene {
    pub(crate) dir: TempDir,
    pub(crate) server: GitServer,
    /// What the host's file says of the checkout.
    pub(crate) git: Git,
    /// Who the checkout is worked on as.
    pub(crate) user: Option<String>,
    pub(crate) limits: Limits,
    /// How many gits were begun.
    pub(crate) begun: usize,
}

impl Scene {
    /// A repository `web` with one commit on `main`, and a clone of it.
    pub(crate) fn new() -> Self {
        let scene = Self::empty();
        scene.commit("app.txt", "one");
        scene.git(
            &scene.home(),
            &["clone", "--quiet", &scene.url("web"), "checkout"],
        );
        scene
    }

    /// The same without the clone.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("srv");
        fs::create_dir(&root).unwrap();
        let server = GitServer::start(&root).unwrap();
        let git = Git {
            path: dir.path().join("checkout"),
            remote: "origin".to_owned(),
            credential_file: None,
            discard_changes: false,
        };
        let mut scene = Self {
            dir,
            server,
            git,
            user: None,
            limits: Limits::default(),
            begun: 0,
        };
        scene.limits.network = Duration::from_secs(60);
        scene.repository("web");
        scene
    }

    /// Makes the bare repository at the server, and the work tree that commits are made in.
    pub(crate) fn repository(&self, name: &str) {
        let bare = self.bare(name);
        self.git(
            self.dir.path(),
            &[
                "init",
                "--quiet",
                "--bare",
                "-b",
                "main",
                bare.to_str().unwrap(),
            ],
        );
        let work = self.work(name);
        self.git(
            self.dir.path(),
            &["init", "--quiet", "-b", "main", work.to_str().unwrap()],
        );
        self.git(&work, &["remote", "add", "origin", bare.to_str().unwrap()]);
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub(crate) fn bare(&self, name: &str) -> PathBuf {
        self.dir.path().join("srv").join(format!("{name}.git"))
    }

    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("work-{name}"))
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}.git", self.server.url)
    }

    /// A file of the checkout.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.git.path.join(name)
    }

    /// What is in a file of the checkout; `None` without it.
    pub(crate) fn content(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.file(name)).ok()
    }

    /// A git of the developer's or the operator's.
    pub(crate) fn git(&self, dir: &Path, args: &[&str]) -> String {
        let output = developer(dir, args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {said}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// The same in the checkout.
    pub(crate) fn here(&self, args: &[&str]) -> String {
        self.git(&self.git.path, args)
    }

    /// Commits a file to `main` of `web` and pushes that.
    pub(crate) fn commit(&self, file: &str, content: &str) -> Sha {
        let path = self.work("web").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self.publish("web", file)
    }

    /// Commits what was changed in the work tree of a repository, and pushes its branch.
    pub(crate) fn publish(&self, name: &str, message: &str) -> Sha {
        let work = self.work(name);
        self.git(&work, &["add", "--all", "--force"]);
        self.git(&work, &["commit", "--quiet", "-m", message]);
        self.git(&work, &["push", "--quiet", "--force", "origin", "HEAD"]);
        self.head(&work)
    }

    pub(crate) fn head(&self, dir: &Path) -> Sha {
        self.git(dir, &["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// Fetches a commit, of `main` by the service's rule.
    pub(crate) fn fetch(&mut self, sha: &Sha) -> Result<Fetched, GitError> {
        self.fetch_on(sha, None, &["main"])
    }

    pub(crate) fn fetch_on(
        &mut self,
        sha: &Sha,
        branch: Option<&str>,
        rule: &[&str],
    ) -> Result<Fetched, GitError> {
        let branches: Vec<Glob> = rule.iter().copied().map(Glob::new).collect();
        self.fetch_wanted(&Wanted {
            sha,
            branch,
            tag: None,
            branches: &branches,
        })
    }

    pub(crate) fn fetch_wanted(&mut self, wanted: &Wanted<'_>) -> Result<Fetched, GitError> {
        self.with(async |tools, place| git::fetch(tools, place, wanted).await)
    }

    pub(crate) fn look(&mut self) -> Look {
        self.with(async |tools, place| git::look(tools, place).await)
            .unwrap()
    }

    pub(crate) fn ready(&mut self, to: &Sha) -> Result<Look, GitError> {
        self.with(async |tools, place| git::ready(tools, place, to).await)
    }

    pub(crate) fn check_out(&mut self, to: &Sha, entry: Entry) -> Result<(), GitError> {
        self.with(async |tools, place| git::check_out(tools, place, to, entry).await)
    }

    /// Goes back in the deploy `d1`; what lies aside of it then.
    pub(crate) fn back(&mut self, old: &Checkout, entry: Entry) -> Result<Vec<PathBuf>, GitError> {
        self.with(async |tools, place| git::check_out_old(tools, place, old, entry, "d1").await)
    }

    /// Fetches, looks and checks out, as a deploy does; where the checkout was before.
    pub(crate) fn deploy(&mut self, to: &Sha) -> Result<Checkout, GitError> {
        self.fetch(to)?;
        let look = self.ready(to)?;
        self.check_out(to, Entry::First)?;
        Ok(look.at)
    }

    pub(crate) fn with<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Tools<'_>, &Place<'_>) -> Result<T, GitError>,
    ) -> Result<T, GitError> {
        let launcher = Launcher(env!("CARGO_BIN_EXE_towline").into());
        let mut begun = 0;
        let mut count = |_: &Identity| {
            begun += 1;
            Ok(())
        };
        let mut tools = Tools {
            launcher: &launcher,
            begun: &mut count,
            limits: self.limits,
        };
        let place = Place {
            git: &self.git,
            user: self.user.as_deref(),
        };
        let done = block_on(work(&mut tools, &place));
        self.begun += begun;
        done
    }
}

fn developer(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args([
            "-c",
            "user.name=octocat",
            "-c",
            "user.email=octocat@users.noreply.github.com",
        ])
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}
