//! The sandbox's own engine, killed and started again. Whoever borrows an engine has none to kill.

use std::{
    env,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::poller::until;

static SERVED: RwLock<()> = RwLock::new(());

/// No test kills the engine while this lives.
pub(crate) fn served() -> RwLockReadGuard<'static, ()> {
    SERVED.read().unwrap_or_else(PoisonError::into_inner)
}

/// Whether engine and mounts are the sandbox's own.
pub(crate) fn is_own() -> bool {
    own().is_some()
}

/// The folder of a sandbox that has its own engine.
fn own() -> Option<PathBuf> {
    let sandbox = PathBuf::from(env::var_os("TOWLINE_SANDBOX")?);
    sandbox.join("dockerd.pid").exists().then_some(sandbox)
}

/// The engine, for one test at a time.
pub(crate) struct Engine {
    sandbox: PathBuf,
    _alone: RwLockWriteGuard<'static, ()>,
}

/// The engine while it is down. It serves again when this is dropped, which is at the end of the test at the latest.
pub(crate) struct Down<'a>(&'a Engine);

impl Engine {
    /// `None` where the engine is not the sandbox's own.
    pub(crate) fn own() -> Option<Self> {
        let alone = SERVED.write().unwrap_or_else(PoisonError::into_inner);
        Some(Self {
            sandbox: own()?,
            _alone: alone,
        })
    }

    /// Has it do nothing more: calls arrive, and are not answered.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Ends it as a power cut would. What it runs may live on for a while.
    pub(crate) fn kill(&self) -> Down<'_> {
        let process = self.signal("-KILL");
        until("the engine is dead", || !process.exists());
        Down(self)
    }

    /// Sends it a signal; returns where the system shows it.
    fn signal(&self, signal: &str) -> PathBuf {
        let pid = fs::read_to_string(self.sandbox.join("dockerd.pid")).unwrap();
        let sent = Command::new("kill").args([signal, pid.trim()]).status();
        assert!(sent.unwrap().success());
        PathBuf::from("/proc").join(pid.trim())
    }

    fn start(&self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/setup/dockerd");
        let log = OpenOptions::new()
            .append(true)
            .open(self.sandbox.join("dockerd.log"))
            .unwrap();
        // Not this process's child: it outlives it for the next tests, and whoever is its parent then sees to its end.
        let started = Command::new("sh")
            .args(["-c", "\"$0\" &"])
            .arg(script)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status();
        assert!(started.unwrap().success());
        until("the engine serves again", serves);
    }
}

impl Drop for Down<'_> {
    fn drop(&mut self) {
        self.0.start();
    }
}

fn serves() -> bool {
    let asked = Command::new("docker").arg("version").output();
    asked.is_ok_and(|asked| asked.status.success())
}
