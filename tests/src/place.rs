//! Where things are: the project's folder, its binaries, and what the sandbox says of the real parts.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of a fixture below `tests/fixtures`.
///
/// # Errors
/// When there is none of that name.
pub fn fixture(name: &str) -> Result<String> {
    let path = root().join("tests/fixtures").join(name);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// The `towline` binary: `$TOWLINE_BIN`, else the one that was built beside the running program.
///
/// # Errors
/// When it has not been built.
pub fn towline() -> Result<PathBuf> {
    if let Some(path) = env::var_os("TOWLINE_BIN") {
        return Ok(path.into());
    }
    let this = env::current_exe()?;
    let built = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("towline"));
    let built = built.into_iter().find(|path| path.is_file());
    built.context("the towline binary is missing; build it with: cargo build -p towline")
}

/// The toy service as a plain program; compiled now if it is not yet.
///
/// # Errors
/// When the compiler refuses.
pub fn toy() -> Result<PathBuf> {
    let output = Command::new(root().join("tests/toy/build")).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tests/toy/build: {words}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}

/// A setting that the sandbox makes.
///
/// # Errors
/// When the program runs outside of it.
pub fn sandbox(name: &str) -> Result<String> {
    env::var(name).with_context(|| {
        format!(
            "{name} is not set; run this by `make test` or `make demo`, which start the real parts"
        )
    })
}

/// A TCP port that is free now.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
