//! The `towline` command as a process: what it prints, how it ends, what it does when the world is not as it should be.
//!
//! The relay is a fake on loopback, the engine is not there: whole deploys are the whole-system tests' business.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use relay::{Relay, manual, news};
use tempfile::TempDir;
use towline::{
    report,
    store::{End, Store},
};
use towline_protocol::{IntentId, Outcome};

mod activation;
mod after;
mod backups;
mod check;
mod checkouts;
mod clock;
mod command_line;
mod commands;
mod control;
mod control_socket;
mod deploy;
mod desk;
mod follow;
mod locks;
mod once;
mod orders;
mod outlived;
mod plan;
mod presence;
mod relay;
mod relay_trouble;
mod scripts;
mod state;
mod taken_back;
mod units;

const KEY: &str = "a key for tests of thirty-two bytes or more";

/// A host with its file, its token and its state, and no engine.
struct Host {
    dir: TempDir,
}

impl Host {
    fn new(port: u16, more: &str) -> Self {
        let work = "[service.web.docker]\ncontainer = \"web\"\n";
        Self::with(port, &format!("{more}\n{work}"))
    }

    /// One whose service `web` has these keys and tables beside its rule. `DIR` in them is the host's own folder.
    fn with(port: u16, keys: &str) -> Self {
        let host = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let keys = keys.replace("DIR", host.dir.path().to_str().unwrap());
        let file = format!(
            "[relay]\nurl = \"http://127.0.0.1:{port}\"\ntoken_file = \"token\"\n\n[service.web]\n\
             repository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n{keys}"
        );
        fs::write(host.path("towline.toml"), file).unwrap();
        let token = towline(&[
            "token",
            "--role",
            "host",
            "--name",
            "pi",
            "--channel",
            "octo-org/*",
        ])
        .env("TOKEN_KEY", KEY)
        .output()
        .unwrap();
        assert!(token.status.success());
        fs::write(host.path("token"), token.stdout).unwrap();
        fs::set_permissions(host.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = towline(arguments);
        command
            .arg("--config")
            .arg(self.path("towline.toml"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .env(
                "DOCKER_HOST",
                format!("unix://{}", self.path("no-engine.sock").display()),
            );
        command
    }

    /// Runs `towline once` and returns its status and log.
    fn once(&self) -> (i32, String) {
        ended(self.command(&["once"]).output().unwrap())
    }
}

fn towline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towline"));
    command.args(arguments).env_clear();
    command
}

fn ended(output: Output) -> (i32, String) {
    let log = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), log)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "waited too long until {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
