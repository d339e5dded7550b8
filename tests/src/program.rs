//! Programs that a test writes and then has started.
//!
//! Another process writes them: were the file open for writing here, then a child that another thread forks at that moment
//! would hold it open for an instant, in which the system refuses to execute it ("Text file busy", execve(2)).

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// Writes a program of this text, for everybody to execute.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let mut install = install(Path::new("/dev/stdin"), path);
    let mut child = install.stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("its standard input")?;
    stdin.write_all(text.as_bytes())?;
    drop(stdin);
    ensure!(child.wait()?.success(), "writing {}", path.display());
    Ok(())
}

/// Copies a program, for everybody to execute.
///
/// # Errors
/// When it cannot be copied.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    ensure!(
        install(from, to).status()?.success(),
        "copying to {}",
        to.display()
    );
    Ok(())
}

fn install(from: &Path, to: &Path) -> Command {
    let mut install = Command::new("install");
    install.args(["-m", "755"]).arg(from).arg(to);
    install
}
