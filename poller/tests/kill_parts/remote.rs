//! A repository at a server, and a clone of it that hosts begin with.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;
use towline_tests::git_server::GitServer;

/// What the program `update` of each commit begins with. It can be made to kill the poller in the middle, and to leave somebody
/// running then.
const UPDATE: &str = r#"#!/bin/sh
echo "$TOWLINE_STEP $TOWLINE_SHORT_SHA" >> ../log
echo half > ../data/db
if [ -e ../kill-in-run ]; then
    rm ../kill-in-run
    trap '' TERM
    sleep 300 &
    kill -9 "$PPID"
    wait
fi
"#;

/// The project of each commit, for services that are one. Which images it has is in a file that git ignores.
const PROJECT: &str = "services:
  api:
    image: ${IMAGE}
    labels: {commit: VERSION}
    environment: {TOY_DATA: /data/db, TOY_MOVES: always}
    volumes: ['../data:/data']
  other:
    image: ${OTHER}
";

/// The three versions of an app: each is what its file `version` says, and moves the data there.
pub(crate) struct Remote {
    dir: TempDir,
    /// Who serves it.
    pub(crate) server: GitServer,
    /// The commit that hosts begin with.
    pub(crate) v1: String,
    /// One that is well.
    pub(crate) good: String,
    /// One that breaks the data and fails.
    pub(crate) bad: String,
}

impl Remote {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        git(
            dir.path(),
            &["init", "-q", "--bare", "-b", "main", "app.git"],
        );
        git(dir.path(), &["init", "-q", "-b", "main", "work"]);
        let server = GitServer::start(dir.path()).unwrap();
        let v1 = commit(dir.path(), "v1", "cat version > ../data/db");
        let url = format!("{}/app.git", server.url);
        git(dir.path(), &["clone", "-q", &url, "clone"]);
        let good = commit(dir.path(), "v2", "cat version > ../data/db");
        let bad = commit(dir.path(), "bad", "rm ../data/precious; exit 9");
        Self {
            dir,
            server,
            v1,
            good,
            bad,
        }
    }

    /// Puts a clone there, which knows of v1 alone and is on the branch `main`.
    pub(crate) fn clone_to(&self, path: &Path) {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.dir.path().join("clone")).arg(path);
        assert!(copy.status().unwrap().success());
    }

    /// What a version's file says.
    pub(crate) fn name(&self, sha: &str) -> &'static str {
        match sha {
            sha if sha == self.v1 => "v1",
            sha if sha == self.good => "v2",
            sha if sha == self.bad => "bad",
            _ => "unknown",
        }
    }
}

/// Pushes a commit whose `update` ends with `update`.
fn commit(dir: &Path, version: &str, update: &str) -> String {
    let work = dir.join("work");
    fs::write(work.join("version"), format!("{version}\n")).unwrap();
    fs::write(work.join("update"), format!("{UPDATE}{update}\n")).unwrap();
    let project = PROJECT.replace("VERSION", version);
    fs::write(work.join("compose.yml"), project).unwrap();
    fs::write(work.join(".gitignore"), ".env\n").unwrap();
    let chmod = ["update-index", "--chmod=+x", "update"];
    git(&work, &["add", "--all"]);
    git(&work, &chmod);
    git(&work, &["commit", "-q", "-m", version]);
    git(&work, &["push", "-q", "../app.git", "main"]);
    git(&work, &["rev-parse", "HEAD"])
}

/// What git says in this folder, as a developer or an operator.
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    let who = ["user.name=octocat", "user.email=octocat@example.com"];
    git.args(["-c", who[0], "-c", who[1]]).args(args);
    git.current_dir(dir).env_clear();
    git.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let output = git.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
