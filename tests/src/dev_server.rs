//! The relay under `wrangler dev`, which keeps its storage in a folder: what the power cut of the tests leaves behind.

use std::{os::unix::process::CommandExt, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    child::Process,
    place,
    proc::descendants,
    relay::{WEBHOOK_SECRET, token_key},
};

/// A running relay whose KV and Durable Object are files. Dropping it kills it.
pub struct DevServer {
    /// Where it listens, without a slash at the end.
    pub url: String,
    process: Process,
}

impl DevServer {
    /// Starts the relay on what is in `storage`, maybe nothing. Its gate is empty.
    ///
    /// # Errors
    /// When it does not come up within three minutes, which a busy machine may need; with what it said.
    pub fn start(storage: &Path) -> Result<Self> {
        let bin = place::root().join("node_modules/.bin");
        let mut command = Command::new(bin.join("node"));
        command
            .current_dir(place::root())
            .process_group(0)
            .arg("node_modules/wrangler/bin/wrangler.js")
            .args(["dev", "--config", "tests/relay/wrangler.toml"])
            .args(["--ip", "127.0.0.1", "--port", "0"])
            .arg("--show-interactive-dev-session=false")
            .arg("--persist-to")
            .arg(storage)
            .args(["--var", &format!("WEBHOOK_SECRET:{WEBHOOK_SECRET}")])
            .args(["--var", &format!("TOKEN_KEY:{}", token_key())])
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("WRANGLER_SEND_METRICS", "false");
        let mut process = Process::start("wrangler dev", &mut command)?;
        let line = process.line(Duration::from_secs(180), |line| line.contains("Ready on "))?;
        let url = line
            .text
            .rsplit(' ')
            .next()
            .context("no address")?
            .to_owned();
        Ok(Self { url, process })
    }

    /// Kills every workerd by SIGKILL.
    ///
    /// # Errors
    /// When there is none.
    pub fn kill_workerd(&self) -> Result<()> {
        let found = descendants(self.process.id(), "workerd")?;
        ensure!(!found.is_empty(), "wrangler runs no workerd");
        let pids = found.iter().map(ToString::to_string);
        let killed = Command::new("kill")
            .args(["-s", "KILL"])
            .args(pids)
            .status()?;
        ensure!(killed.success(), "workerd could not be killed");
        Ok(())
    }
}

impl Drop for DevServer {
    /// The whole group at once: wrangler starts a workerd anew that ends without it.
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill")
            .args(["-s", "KILL", "--", &group])
            .status();
    }
}
