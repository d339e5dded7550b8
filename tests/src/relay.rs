//! The relay: the built wasm in workerd, with its KV and Durable Object.

use std::{
    io::Write,
    process::{ChildStdin, Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use towline_protocol::{Claims, Glob, Role, Secret, TokenKey};

use crate::{
    child::Process,
    http::{Answer, Headers, get, post, put},
    place,
};

/// What the hook at GitHub would be set up with.
pub const WEBHOOK_SECRET: &str = "a webhook secret of the tests";

/// GitHub's documented example, here the secret before the current one.
/// (GitHub, "Validating webhook deliveries", "Testing the webhook payload validation".)
pub const PREVIOUS_SECRET: &str = "It's a Secret to Everybody";

const TOKEN_KEY: &str = "a token key of the tests, with at least thirty-two bytes";

/// Which Worker is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// The one that is deployed, by the `wrangler.toml` at the root.
    Deployed,
    /// The same one behind `tests/relay/shim.js`, which counts what it does to its storage.
    Counted,
}

/// A running relay. Dropping it ends workerd.
pub struct Relay {
    /// Where it listens, without a slash at the end.
    pub url: String,
    process: Mutex<Process>,
    commands: Mutex<Option<ChildStdin>>,
}

impl Relay {
    /// Starts a relay with the secrets above and this gate.
    ///
    /// # Errors
    /// When it does not come up within three minutes, which a busy machine may need; with what it said.
    pub fn start(face: Face, gate: &Value) -> Result<Self> {
        let secrets = json!({
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
            "WEBHOOK_SECRET_PREVIOUS": PREVIOUS_SECRET,
            "TOKEN_KEY": TOKEN_KEY,
        });
        Self::with(
            face,
            &secrets,
            &json!({ "gate": gate, "REVOKED": "lost nas<2" }),
        )
    }

    /// Starts a relay with these secrets and variables.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn with(face: Face, secrets: &Value, vars: &Value) -> Result<Self> {
        let config = match face {
            Face::Deployed => "wrangler.toml",
            Face::Counted => "tests/relay/wrangler.toml",
        };
        let mut command = Command::new(place::root().join("node_modules/.bin/node"));
        command
            .current_dir(place::root())
            .args(["tests/relay/serve.mjs", config]);
        command
            .env("RELAY_SECRETS", secrets.to_string())
            .env("RELAY_VARS", vars.to_string());
        // The sandbox has no internet: nothing to ask there, nothing to wait for.
        command
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("WRANGLER_SEND_METRICS", "false");
        let mut process = Process::start("the relay", command.stdin(Stdio::piped()))?;
        let commands = process.stdin().context("the relay's commands")?;
        let line = process.line(Duration::from_secs(180), |line| {
            line.starts_with("listening ")
        })?;
        let url = line.text.trim_start_matches("listening ").to_owned();
        Ok(Self {
            url,
            process: Mutex::new(process),
            commands: Mutex::new(Some(commands)),
        })
    }

    /// What the relay has logged, as one text.
    pub fn output(&self) -> String {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .output()
    }

    /// The process that serves it; workerd is its child.
    pub fn process_id(&self) -> u32 {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .id()
    }

    /// Drops the hub from memory, as Cloudflare does at any time; its storage stays.
    ///
    /// # Errors
    /// When the hub was not in memory.
    pub fn evict_hub(&self) -> Result<()> {
        self.command("evict", Duration::from_secs(10))
    }

    /// Does what a cron trigger does, to its end.
    ///
    /// # Errors
    /// When the Worker fails.
    pub fn scheduled(&self, cron: &str) -> Result<()> {
        self.command(&format!("scheduled {cron}"), Duration::from_secs(60))
    }

    fn command(&self, command: &str, within: Duration) -> Result<()> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let before = process.lines().len();
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(
            commands.as_mut().context("the relay has ended")?,
            "{command}"
        )?;
        let ended = [format!("done {command}"), format!("failed {command}")];
        let line = process.line_after(before, within, |line| {
            ended.iter().any(|end| line.starts_with(end))
        })?;
        ensure!(line.text.starts_with("done"), "{}", line.text);
        Ok(())
    }

    /// `GET path` with a bearer token.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn get(&self, path: &str, token: &str) -> Result<Answer> {
        let bearer = format!("Bearer {token}");
        get(
            &format!("{}{path}", self.url),
            &[("Authorization", &bearer)],
        )
    }

    /// `POST path` of a JSON body with a bearer token.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn post(&self, path: &str, token: &str, body: &Value) -> Result<Answer> {
        let bearer = format!("Bearer {token}");
        let headers: Headers = &[
            ("Authorization", &bearer),
            ("Content-Type", "application/json"),
        ];
        post(
            &format!("{}{path}", self.url),
            headers,
            body.to_string().as_bytes(),
        )
    }

    /// What was done to the storage since the last reset; [`Face::Counted`] only.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn counts(&self) -> Result<Value> {
        get(&format!("{}/__test/counts", self.url), &[])?.json()
    }

    /// Counts from nothing again and fails nothing any more; [`Face::Counted`] only.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn reset_counts(&self) -> Result<()> {
        post(&format!("{}/__test/reset", self.url), &[], b"").map(drop)
    }

    /// Lets the next `times` operations of a kind fail: `put`, `get`, `hub`, `hub_after` (its
    /// answer is lost), `sql` or `alarm`; [`Face::Counted`] only.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn fail(&self, operation: &str, times: u32) -> Result<()> {
        post(
            &format!("{}/__test/fail?op={operation}&n={times}", self.url),
            &[],
            b"",
        )
        .map(drop)
    }

    /// Makes each put from now on take so many milliseconds longer; [`Face::Counted`] only.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn slow(&self, ms: u64) -> Result<()> {
        post(&format!("{}/__test/slow?ms={ms}", self.url), &[], b"").map(drop)
    }

    /// Sets the relay's clock ahead, until the next reset; [`Face::Counted`] only.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn ahead(&self, by: Duration) -> Result<()> {
        let url = format!("{}/__test/clock?ms={}", self.url, by.as_millis());
        post(&url, &[], b"").map(drop)
    }

    /// Makes KV as it is in production, only faster: a place answers from its cache for `stale`, misses included, and a
    /// second put of a key within a second is refused; [`Face::Counted`] only.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn adverse(&self, stale: Duration) -> Result<()> {
        let url = format!("{}/__test/adverse?ms={}", self.url, stale.as_millis());
        post(&url, &[], b"").map(drop)
    }

    /// `GET path` with a bearer token from a place with a cache of its own; [`Face::Counted`] only.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn get_from(&self, place: &str, path: &str, token: &str) -> Result<Answer> {
        let bearer = format!("Bearer {token}");
        let headers: Headers = &[("Authorization", &bearer), ("X-Test-Place", place)];
        get(&format!("{}{path}", self.url), headers)
    }

    /// Puts a mailbox into KV as another hub would have left it; [`Face::Counted`] only.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn put_mailbox(&self, channel: &str, mailbox: &Value) -> Result<()> {
        let url = format!("{}/__test/kv?key=c/{channel}", self.url);
        put(&url, mailbox.to_string().as_bytes()).map(drop)
    }

    /// The mailbox that KV holds for a channel; [`Face::Counted`] only.
    ///
    /// # Errors
    /// When there is none.
    pub fn mailbox(&self, channel: &str) -> Result<Value> {
        get(&format!("{}/__test/kv?key=c/{channel}", self.url), &[])?.json()
    }
}

impl Drop for Relay {
    /// Ends it by the end of its input: killed hard, node would leave its workerds behind.
    fn drop(&mut self) {
        let commands = self.commands.get_mut();
        commands.unwrap_or_else(PoisonError::into_inner).take();
        let process = self.process.get_mut();
        let process = process.unwrap_or_else(PoisonError::into_inner);
        let _ = process.ended(Duration::from_secs(10));
    }
}

/// The one relay that the suite's tests share: behind the shim, its gate empty but for the sources, which are all.
pub static SHARED: LazyLock<Result<Relay>> = LazyLock::new(|| {
    let sources = [
        "workflow_run",
        "push",
        "registry_package",
        "release",
        "deployment",
    ];
    Relay::start(Face::Counted, &json!({ "sources": sources }))
});

/// A token that the relays above accept.
///
/// # Errors
/// When the name is not valid.
pub fn token(role: Role, name: &str, channels: &[&str]) -> Result<String> {
    token_of(&Claims {
        role,
        name: name.parse()?,
        channels: channels.iter().map(|glob| Glob::new(*glob)).collect(),
        generation: 1,
        iat: 1_795_186_000,
    })
}

/// The token that says `claims`.
///
/// # Errors
/// When the key is too short.
pub fn token_of(claims: &Claims) -> Result<String> {
    let token = TokenKey::new(Secret::new(TOKEN_KEY))?.mint(claims);
    Ok(token.expose_str().context("tokens are ASCII")?.to_owned())
}

/// The key that those tokens are made with, for `towline token`.
pub fn token_key() -> &'static str {
    TOKEN_KEY
}
