//! The Docker engine of the sandbox, spoken to as its user does: by the `docker` command.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Runs `docker ARGS` and returns what it printed.
///
/// # Errors
/// When it fails; with what it said.
pub fn docker(args: &[&str]) -> Result<String> {
    let output = Command::new("docker")
        .args(args)
        .output()
        .context("starting docker")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "docker {}: {}",
        args.join(" "),
        said.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What `docker inspect` says of a container, an image or a volume.
///
/// # Errors
/// When there is none of that name.
pub fn inspect(name: &str) -> Result<Value> {
    let all: Vec<Value> = serde_json::from_str(&docker(&["inspect", name])?)?;
    all.into_iter()
        .next()
        .with_context(|| format!("docker inspect {name} was empty"))
}

/// The names of all containers that carry `label`, running or not, in order.
///
/// # Errors
/// When the engine does not answer.
pub fn containers(label: &str) -> Result<Vec<String>> {
    let filter = format!("label={label}");
    let names = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"])?;
    let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}
