//! The user whom a host's service runs as, where that can be another one than whoever runs the tests.

use std::{ffi::OsStr, path::Path, process::Command};

use anyhow::{Result, ensure};

/// A user that every Linux has and that owns nothing. Only root can be somebody else.
pub fn other() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("daemon")
}

/// This program, run as `user` where one is named.
pub fn command(user: Option<&str>, program: impl AsRef<OsStr>) -> Command {
    let Some(user) = user else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--init-groups"]);
    command.arg(program);
    command
}

/// Gives a folder with all that is in it to `user`.
///
/// # Errors
/// When the system refuses.
pub fn give(user: &str, folder: &Path) -> Result<()> {
    let status = Command::new("chown")
        .args(["-R", &format!("{user}:")])
        .arg(folder)
        .status()?;
    ensure!(
        status.success(),
        "giving {} to {user}: {status}",
        folder.display()
    );
    Ok(())
}
