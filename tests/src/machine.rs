//! A machine whose first process is systemd, in a container of systemd's own: Debian's, unpacked by the set-up, and as new
//! each time. It shares the network of whoever starts it.
//!
//! Not here: what is installed in it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{child::Process, wait::until};

/// Longer than it takes to come up and to go down.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running machine. Dropping it ends it and all that runs in it.
pub struct Machine {
    nspawn: Process,
    /// Its first process, as it is seen from outside.
    init: String,
}

impl Machine {
    /// Starts one in which each of these files and folders is at that path, and waits until it is up; `None`
    /// where the sandbox has none, since only root can start one.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(name: &str, shared: &[(&Path, &str)]) -> Result<Option<Self>> {
        let Some(unpacked) = env::var_os("TOWLINE_TEST_SYSTEMD").map(PathBuf::from) else {
            return Ok(None);
        };
        let mut command = Command::new(unpacked.join("nspawn"));
        command.args([
            "--boot",
            "--quiet",
            "--volatile=overlay",
            "--register=no",
            "--keep-unit",
        ]);
        command.arg(format!("--machine={name}"));
        for (from, to) in shared {
            command.arg(format!("--bind={}:{to}", from.display()));
        }
        let mut nspawn = Process::start(name, command.stdin(Stdio::null()))?;
        let init = first_child(&mut nspawn).with_context(|| nspawn.output())?;
        let machine = Self { nspawn, init };
        until("systemd", PATIENCE, || {
            let state = machine.call("systemctl is-system-running")?;
            Ok(["running", "degraded"]
                .contains(&state.1.trim())
                .then_some(()))
        })
        .with_context(|| machine.nspawn.output())?;
        Ok(Some(machine))
    }

    /// Runs these lines of sh as root in the machine, as a user would type them; returns what they print, both outputs.
    ///
    /// # Errors
    /// When one of them fails, with all that was printed.
    pub fn done(&self, lines: &str) -> Result<String> {
        let (is_well, said) = self.call(&format!("set -e\n{lines}"))?;
        ensure!(is_well, "{lines}: {said}");
        Ok(said)
    }

    /// The same, and whether they ended well.
    fn call(&self, lines: &str) -> Result<(bool, String)> {
        let output = Command::new("nsenter")
            .args(["--target", &self.init, "--mount", "--uts", "--ipc", "--pid"])
            .args(["--root", "--", "/usr/bin/env", "-i"])
            .args([
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
                "SYSTEMD_PAGER=",
            ])
            .args(["/bin/sh", "-c", &format!("exec 2>&1\ncd\n{lines}")])
            .stdin(Stdio::null())
            .output()
            .context("nsenter")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.success(), said))
    }

    /// What the unit has written to the journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn journal(&self, unit: &str) -> Result<String> {
        self.done(&format!("journalctl --no-pager --output=cat --unit={unit}"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.nspawn.terminate(PATIENCE);
    }
}

/// The first process in a container is the only child of who has started it.
fn first_child(nspawn: &mut Process) -> Result<String> {
    let children = format!("/proc/{0}/task/{0}/children", nspawn.id());
    until("the machine's first process", PATIENCE, || {
        let children = fs::read_to_string(&children).unwrap_or_default();
        for child in children.split_whitespace() {
            let comm = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            if comm.trim() == "systemd" {
                return Ok(Some(child.to_owned()));
            }
        }
        Ok(None)
    })
}
