//! A poller that is killed: the real binary, with its files, and a relay that remembers what it was told.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::relay::{Relay, news};

/// A poller that has not run yet.
pub(crate) struct Poller {
    relay: Relay,
    dir: TempDir,
    /// Where the engine is.
    engine: String,
}

impl Poller {
    /// Its file begins with the relay's address, and goes on with `services`.
    pub(crate) fn new(services: &str, engine: String) -> Self {
        let poller = Self {
            relay: Relay::start(),
            dir: tempfile::tempdir().unwrap(),
            engine,
        };
        let port = poller.relay.port;
        let head = format!("[relay]\nurl = \"http://127.0.0.1:{port}\"\ntoken_file = \"token\"\n");
        fs::write(poller.path("towline.toml"), head + services).unwrap();
        let token = Command::new(env!("CARGO_BIN_EXE_towline"))
            .args("token --role host --name pi --channel octo-org/*".split(' '))
            .env("TOKEN_KEY", "a key for tests of thirty-two bytes or more")
            .output()
            .unwrap();
        fs::write(poller.path("token"), token.stdout).unwrap();
        fs::set_permissions(poller.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
        poller
    }

    /// The relay holds these intents from now on.
    pub(crate) fn offer(&self, intents: &[Value]) {
        self.relay.change(|state| state.intents = news(intents));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// `towline once`, which writes down the points that it comes to.
    fn command(&self) -> Command {
        self.towline(&["once"])
    }

    /// `towline` for this host, which writes down the points that it comes to.
    pub(crate) fn towline(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towline"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path("towline.toml"))
            .arg("--state-dir")
            .arg(self.state())
            .env("DOCKER_HOST", &self.engine)
            .env("TOWLINE_FAILPOINT_LOG", self.path("passed"));
        command
    }

    /// The points that the last run has come to.
    pub(crate) fn passed(&self) -> Vec<String> {
        let points = fs::read_to_string(self.path("passed")).unwrap_or_default();
        points.lines().map(str::to_owned).collect()
    }

    /// Runs `towline once` to its end; returns its exit status, its log and the points that it passed.
    pub(crate) fn once(&self) -> (i32, String, Vec<String>) {
        fs::remove_file(self.path("passed")).ok();
        let (status, log) = ended(self.command().output().unwrap());
        (status.code().unwrap(), log, self.passed())
    }

    /// Runs `towline once` with the engine at this address; returns its exit status and its log.
    pub(crate) fn once_by(&self, engine: &str) -> (i32, String) {
        let mut once = self.towline(&["once"]);
        let (status, log) = ended(once.env("DOCKER_HOST", engine).output().unwrap());
        (status.code().unwrap(), log)
    }

    /// Runs `towline retry` for the service; returns its exit status and its log.
    pub(crate) fn retry(&self, service: &str) -> (i32, String) {
        let retried = self.towline(&["retry", service]).output();
        let (status, log) = ended(retried.unwrap());
        (status.code().unwrap(), log)
    }

    /// Runs `towline once`, which is killed at `point`, or with `POINT,N` when it comes there the N-th time.
    pub(crate) fn killed_at(&self, point: &str) {
        fs::remove_file(self.path("passed")).ok();
        let killed = self.command().env("TOWLINE_FAILPOINT", point).output();
        let (status, log) = ended(killed.unwrap());
        assert_eq!(status.signal(), Some(9), "{point}: {log}");
        let (name, _) = point.split_once(',').unwrap_or((point, ""));
        assert_eq!(self.passed().last().unwrap(), name);
    }

    /// Runs `towline once` up to `point`, where it waits.
    pub(crate) fn paused_at(&self, point: &str) -> Paused {
        fs::remove_file(self.path("passed")).ok();
        let go = self.path("go");
        let mut command = self.command();
        command
            .env("TOWLINE_FAILPOINT", point)
            .env("TOWLINE_FAILPOINT_WAIT", &go)
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        while self.passed().last().is_none_or(|last| last != point) {
            assert_eq!(process.try_wait().unwrap(), None, "{point} was not met");
            thread::sleep(Duration::from_millis(20));
        }
        Paused { process, go }
    }

    /// Runs `towline run`.
    pub(crate) fn runs(&self) -> Running {
        fs::remove_file(self.path("passed")).ok();
        let log = self.path("run.log");
        let mut run = self.towline(&["run"]);
        let process = run.stderr(File::create(&log).unwrap()).spawn().unwrap();
        Running { process, log }
    }

    /// What the relay was told until now counts no more.
    pub(crate) fn forget_reports(&self) {
        self.relay.change(|state| state.heard.clear());
    }

    /// The final reports that the relay was sent, by attempt; each attempt has one, however often it was sent.
    pub(crate) fn reports(&self) -> BTreeMap<u64, Value> {
        const PENDING: [&str; 2] = ["waiting", "applying"];
        let mut reports = BTreeMap::new();
        for report in self.relay.change(|state| state.heard.clone()) {
            let outcome = report["outcome"].as_str().unwrap_or_default();
            if outcome.is_empty() || PENDING.contains(&outcome) {
                continue;
            }
            let attempt = report["attempt"].as_u64().unwrap();
            let same = reports.entry(attempt).or_insert_with(|| report.clone());
            assert_eq!(*same, report, "an attempt has ended in two ways");
        }
        reports
    }
}

pub(crate) fn ended(output: Output) -> (ExitStatus, String) {
    (output.status, String::from_utf8(output.stderr).unwrap())
}

/// A run that waits at a point; it ends with the test.
pub(crate) struct Paused {
    process: Child,
    go: PathBuf,
}

impl Paused {
    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        fs::write(&self.go, "").unwrap();
    }

    /// Waits for its end; returns its exit status and its log.
    pub(crate) fn ended(mut self) -> (i32, String) {
        let mut log = String::new();
        let mut stderr = self.process.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (self.process.wait().unwrap().code().unwrap(), log)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A `towline run`; it ends with the test.
pub(crate) struct Running {
    process: Child,
    log: PathBuf,
}

impl Running {
    /// Asks it to end, and waits until it has heard.
    pub(crate) fn ask_to_end(&self) {
        self.signal("-TERM");
        until("it has heard", || {
            let log = fs::read_to_string(&self.log).unwrap();
            log.contains("asked to stop")
        });
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; returns its exit status and its log.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        (status, fs::read_to_string(&self.log).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Waits three minutes at most: an engine that starts looks at all that was there.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(180),
            "waited too long until {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
