//! A host: a folder with a `towline.toml`, a token and a state directory, and the real binary.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{child::Process, place};

/// A host's files, gone when it is dropped.
pub struct Host {
    folder: TempDir,
}

impl Host {
    /// Writes the host's file (`[relay]` is added) and its token.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn new(relay: &str, token: &str, services: &str) -> Result<Self> {
        let host = Self {
            folder: TempDir::with_prefix("towline-host-")?,
        };
        let token_file = host.path("token");
        fs::write(&token_file, token)?;
        fs::set_permissions(&token_file, fs::Permissions::from_mode(0o600))?;
        host.write(&format!(
            "[relay]\nurl = {relay:?}\ntoken_file = {:?}\n\n{services}",
            token_file.display().to_string()
        ))?;
        Ok(host)
    }

    /// Replaces the host's file.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(&self, toml: &str) -> Result<()> {
        Ok(fs::write(self.path("towline.toml"), toml)?)
    }

    /// A file or folder of this host.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `towline ARGS` with this host's file and state.
    ///
    /// # Errors
    /// When the binary has not been built.
    pub fn towline(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(place::towline()?);
        command.arg("--config").arg(self.path("towline.toml"));
        command
            .arg("--state-dir")
            .arg(self.path("state"))
            .args(args);
        command
            .env_remove("TOWLINE_TOKEN")
            .env_remove("CREDENTIALS_DIRECTORY");
        Ok(command)
    }

    /// Runs `towline ARGS` to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn call(&self, args: &[&str]) -> Result<Output> {
        self.towline(args)?
            .output()
            .with_context(|| format!("towline {}", args.join(" ")))
    }

    /// `towline once`: its exit status and what it said.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn once(&self) -> Result<(Option<i32>, String)> {
        let output = self.call(&["once"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), said))
    }

    /// What `towline ARGS --json` prints.
    ///
    /// # Errors
    /// When it does not end well, or prints no JSON.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let output = self.call(&[args, &["--json"]].concat())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "towline {}: {said}",
            args.join(" ")
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Starts `towline run --interval 1s`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self) -> Result<Process> {
        let mut command = self.towline(&["run", "--interval", "1s"])?;
        Process::start("towline", command.stdin(Stdio::null()))
    }
}
