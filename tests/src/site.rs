//! A web app in a git checkout with data beside it, kept up by a supervisor: what people have on a Raspberry Pi.
//!
//! Here: the app that serves from the host's clone. Not here: the repository, the deploy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    checkout::Checkout,
    child::Process,
    http,
    place::{free_port, root},
    program, user,
};

/// The app, its repository and its data, gone when it is dropped.
pub struct Site {
    /// Its repository, and the clone that it serves from.
    pub code: Checkout,
    port: u16,
    supervisor: Process,
    /// Who runs it and owns its clone and its data, where that is somebody else.
    user: Option<String>,
}

impl Site {
    /// Commits version `version` with these further files, clones it, and keeps the app running from the clone: all of that
    /// as `user`, where one is named. `toy` is the app's program.
    ///
    /// # Errors
    /// When git or the supervisor cannot be started.
    pub fn start(
        toy: &Path,
        version: &str,
        files: &[(&str, &str)],
        user: Option<&str>,
    ) -> Result<Self> {
        let mut code = Checkout::new(&[&of(version, "ok")[..], files].concat())?;
        furnish(&code, toy)?;
        if let Some(user) = user {
            code.give(user)?;
            for folder in ["data", "unit"] {
                user::give(user, &code.path(folder))?;
            }
        }
        let at = |name: &str| code.path(name);
        let port = free_port()?;
        let mut supervise = user::command(user, at("bin/supervise"));
        supervise
            .arg(at("unit"))
            .arg(at("bin/toy"))
            .env("TOY_ADDRESS", format!("127.0.0.1:{port}"))
            .env("TOY_ROOT", at("checkout"))
            .env("TOY_DATA", at("data/visits"))
            .stdin(Stdio::null());
        let supervisor = Process::start("the supervisor", &mut supervise)?;
        let site = Self {
            code,
            port,
            supervisor,
            user: user.map(str::to_owned),
        };
        site.service("start")?;
        Ok(site)
    }

    /// A file or folder of it: `origin.git`, `checkout`, `bin`, `data`, `unit`.
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
        [self.path("bin/service"), self.path("unit"), verb.into()]
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
        let mut service = user::command(self.user.as_deref(), program);
        let status = service.args(args).status()?;
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

/// What it needs beside its clone: its programs where every user may run them, its data, and its supervisor's folder.
fn furnish(code: &Checkout, toy: &Path) -> Result<()> {
    for folder in ["bin", "data", "unit"] {
        fs::create_dir_all(code.path(folder))?;
    }
    fs::write(code.path("data/visits"), "first\n")?;
    program::copy(toy, &code.path("bin/toy"))?;
    for script in ["supervise", "service"] {
        let from = root().join("tests/toy").join(script);
        program::copy(&from, &code.path("bin").join(script))?;
    }
    Ok(())
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
