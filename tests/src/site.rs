//! A web app in a git checkout with data beside it, kept up by a supervisor: what people have on a Raspberry Pi.
//!
//! Here: the app that serves from the host's clone. Not here: the repository, the deploy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    checkout::Checkout,
    child::Process,
    http,
    place::{free_port, root},
};

/// The app, its repository and its data, gone when it is dropped.
pub struct Site {
    /// Its repository, and the clone that it serves from.
    pub code: Checkout,
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
        let code = Checkout::new(&[&of(version, "ok")[..], files].concat())?;
        let at = |name: &str| code.path(name);
        let port = free_port()?;
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
            code,
            port,
            supervisor,
        };
        site.service("start")?;
        Ok(site)
    }

    /// A file or folder of it: `origin.git`, `checkout`, `data`, `unit`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.code.path(name)
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
        let files = [&of(version, mode)[..], files].concat();
        self.code.commit(version, &files)
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

/// The files that tell the toy what it is.
fn of<'a>(version: &'a str, mode: &'a str) -> [(&'static str, &'a str); 2] {
    [("VERSION", version), ("MODE", mode)]
}

impl Drop for Site {
    fn drop(&mut self) {
        // The supervisor takes the app along.
        let _ = self.supervisor.terminate(Duration::from_secs(5));
    }
}
