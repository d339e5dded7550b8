//! The sandbox's own engine, killed and started again. Whoever borrows an engine has none to kill.

use std::{
    env,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
    time::{Duration, Instant},
};

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

    /// Ends it as a power cut would. What it runs may live on for a while.
    pub(crate) fn kill(&self) -> Down<'_> {
        let pid = fs::read_to_string(self.sandbox.join("dockerd.pid")).unwrap();
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status();
        assert!(killed.unwrap().success());
        let process = PathBuf::from("/proc").join(pid.trim());
        until("the engine is dead", || !process.exists());
        Down(self)
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

/// Waits a minute at most.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "waited too long until {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
