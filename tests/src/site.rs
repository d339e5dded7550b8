//! A web app in a git checkout with data beside it, kept up by a supervisor: what people have on a Raspberry Pi.
//!
//! Here: the repository that CI would build, the host's clone of it, and the app that serves from there. Not here: a git
//! server, the deploy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{
    child::Process,
    http,
    place::{free_port, root},
};

/// The app, its repository and its data, gone when it is dropped.
pub struct Site {
    folder: TempDir,
    port: u16,
    supervisor: Process,
}

impl Site {
    /// Commits version `version` with these further files, clones it, and keeps the app running from the clone. `toy` is
    /// the app's program.
    ///
    /// # Errors
    /// When git or the supervisor cannot be started.
    pub fn start(toy: &Path, version: &str, files: &[(&str, &str)]) -> Result<Self> {
        let folder = TempDir::with_prefix("towline-site-")?;
        let at = |name: &str| folder.path().join(name);
        let port = free_port()?;
        git(
            folder.path(),
            &["init", "-q", "--bare", "-b", "main", "origin.git"],
        )?;
        git(folder.path(), &["clone", "-q", "origin.git", "build"])?;
        fs::create_dir_all(at("unit"))?;
        fs::create_dir_all(at("data"))?;
        fs::write(at("data/visits"), "first\n")?;
        let mut supervise = Command::new(root().join("tests/toy/supervise"));
        supervise
            .arg(at("unit"))
            .arg(toy)
            .env("TOY_ADDRESS", format!("127.0.0.1:{port}"))
            .env("TOY_ROOT", at("checkout"))
            .env("TOY_DATA", at("data/visits"))
            .stdin(Stdio::null());
        let supervisor = Process::start("the supervisor", &mut supervise)?;
        let site = Self {
            folder,
            port,
            supervisor,
        };
        site.commit(version, "ok", files)?;
        git(
            site.folder.path(),
            &["clone", "-q", "origin.git", "checkout"],
        )?;
        site.service("start")?;
        Ok(site)
    }

    /// A file or folder of it: `origin.git`, `checkout`, `data`, `unit`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where it serves.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Commits and pushes a version, which behaves by a mode of the toy's; returns the commit.
    ///
    /// # Errors
    /// When git refuses.
    pub fn commit(&self, version: &str, mode: &str, files: &[(&str, &str)]) -> Result<String> {
        let build = self.path("build");
        for (name, text) in [("VERSION", version), ("MODE", mode)].iter().chain(files) {
            let path = build.join(name);
            fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            fs::write(path, text)?;
        }
        git(&build, &["add", "--all", "--chmod=+x", "."])?;
        git(&build, &["commit", "-q", "-m", version])?;
        git(&build, &["push", "-q", "origin", "HEAD:main"])?;
        git(&build, &["rev-parse", "HEAD"])
    }

    /// The commit that the host's clone is at.
    ///
    /// # Errors
    /// When git refuses.
    pub fn head(&self) -> Result<String> {
        git(&self.path("checkout"), &["rev-parse", "HEAD"])
    }

    /// Its section of a host's file: put at the commit of a run of `ci.yml` of `octo-org/web` that has succeeded on `main`,
    /// and restarted.
    pub fn section(&self) -> String {
        format!(
            r#"[service.site]
repository = "octo-org/web"
workflow = "ci.yml"
branch = "main"
git = {{ path = {:?} }}
command = {{ run = {:?}, timeout = "30s" }}
health = [{{ http = {:?}, contains = "toy", within = "30s" }}]
"#,
            self.path("checkout").display().to_string(),
            self.command("restart"),
            self.url()
        )
    }

    /// The command that stops, starts or restarts the app, for the host's file.
    pub fn command(&self, verb: &str) -> Vec<String> {
        let service = root().join("tests/toy/service");
        [service, self.path("unit"), verb.into()]
            .iter()
            .map(|part| part.display().to_string())
            .collect()
    }

    /// Stops, starts or restarts the app.
    ///
    /// # Errors
    /// When the supervisor does not do it.
    pub fn service(&self, verb: &str) -> Result<()> {
        let argv = self.command(verb);
        let (program, args) = argv.split_first().context("a command has a program")?;
        let status = Command::new(program).args(args).status()?;
        ensure!(
            status.success(),
            "{verb}: {status}\n{}",
            self.supervisor.output()
        );
        Ok(())
    }

    /// What it answers, once it answers.
    ///
    /// # Errors
    /// When it does not `within` that time.
    pub fn page(&self, within: Duration) -> Result<String> {
        http::page(&self.url(), within)
    }

    /// What the app has printed.
    pub fn output(&self) -> String {
        self.supervisor.output()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The supervisor takes the app along.
        let _ = self.supervisor.terminate(Duration::from_secs(5));
    }
}

/// Runs git in `dir` with nobody's configuration; returns what it prints.
///
/// # Errors
/// When it fails, with its words.
pub fn git(dir: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new("git")
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
