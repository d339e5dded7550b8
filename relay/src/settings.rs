//! The Worker's variables and secrets, from raw values to what the relay may rely on.
//!
//! Every value is checked when a request first needs it; nothing is read that the request does not
//! need, so that `/health` works without any. The raw values come in through [`Vars`], because only
//! the shell can see the Worker's environment.

use serde::Deserialize;
use thiserror::Error;
use towline_protocol::{Glob, Revocations, Secret, TokenKey};

use crate::gate::{Gate, SourceKind};

mod address;
pub mod github;
mod oidc;

pub use oidc::oidc;

/// The value of a variable or secret of the Worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Var {
    /// Not there, or null.
    Absent,
    /// A string.
    Text(String),
    /// Anything else, as JSON text: what `[vars.NAME]` becomes.
    Json(String),
}

/// Looks up a variable or secret by name.
pub type Vars<'a> = dyn Fn(&str) -> Var + 'a;

/// A variable or secret that the relay cannot work with. Never holds a secret's value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{variable} {problem}")]
pub struct SettingsError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it and what to do.
    pub problem: String,
}

impl SettingsError {
    fn new(variable: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { variable, problem }
    }
}

/// The secrets that a delivery may be signed with: the current one, and during a rotation the
/// previous one.
#[derive(Clone, Debug)]
pub struct WebhookSecrets {
    /// `WEBHOOK_SECRET`.
    pub current: Secret,
    /// `WEBHOOK_SECRET_PREVIOUS`.
    pub previous: Option<Secret>,
}

/// What tokens are checked with.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// `TOKEN_KEY`.
    pub current: TokenKey,
    /// `TOKEN_KEY_PREVIOUS`.
    pub previous: Option<TokenKey>,
    /// `REVOKED`.
    pub revoked: Revocations,
}

/// Reads `WEBHOOK_SECRET` and `WEBHOOK_SECRET_PREVIOUS`.
///
/// # Errors
/// When there is no `WEBHOOK_SECRET`, it is empty, or either is not text.
pub fn webhook_secrets(vars: &Vars<'_>) -> Result<WebhookSecrets, SettingsError> {
    Ok(WebhookSecrets {
        current: required("WEBHOOK_SECRET", vars)?,
        previous: secret("WEBHOOK_SECRET_PREVIOUS", vars)?,
    })
}

/// Reads `TOKEN_KEY`, `TOKEN_KEY_PREVIOUS` and `REVOKED`.
///
/// # Errors
/// When there is no `TOKEN_KEY`, a key is too short, or `REVOKED` is not a list of names.
pub fn token_settings(vars: &Vars<'_>) -> Result<TokenSettings, SettingsError> {
    let revoked = text("REVOKED", vars)?.unwrap_or_default();
    Ok(TokenSettings {
        current: key("TOKEN_KEY", required("TOKEN_KEY", vars)?)?,
        previous: secret("TOKEN_KEY_PREVIOUS", vars)?
            .map(|secret| key("TOKEN_KEY_PREVIOUS", secret))
            .transpose()?,
        revoked: revoked
            .parse()
            .map_err(|error| SettingsError::new("REVOKED", format!("is wrong: {error}")))?,
    })
}

/// Reads `[vars.gate]`; without it, the gate is the contract's default.
///
/// # Errors
/// When a key is unknown, a value has the wrong type, a source does not exist, or `expires_in` is
/// not a time.
pub fn gate(vars: &Vars<'_>) -> Result<Gate, SettingsError> {
    let wrong = |problem: String| SettingsError::new("gate", format!("is wrong: {problem}"));
    let raw = match vars("gate") {
        Var::Absent => RawGate::default(),
        Var::Text(text) if text.trim().is_empty() => RawGate::default(),
        Var::Text(json) | Var::Json(json) => {
            serde_json::from_str(&json).map_err(|error| wrong(error.to_string()))?
        }
    };
    raw.check().map_err(wrong)
}

/// Reads `RETENTION`: for how many seconds the hub keeps intents and reports.
///
/// # Errors
/// When it is no time, or one in which causes would be forgotten too early: the contract keeps them for
/// 35 days, because GitHub lets a run be repeated for 30.
pub fn retention(vars: &Vars<'_>) -> Result<u32, SettingsError> {
    let set = text("RETENTION", vars)?.unwrap_or_default();
    if set.trim().is_empty() {
        return Ok(LEAST_RETENTION);
    }
    let seconds = duration(&set)
        .ok()
        .filter(|seconds| *seconds >= LEAST_RETENTION);
    seconds.ok_or_else(|| {
        let problem = format!("is {set:?}; use 35d or more, at most 366d");
        SettingsError::new("RETENTION", problem)
    })
}

/// The contract's 35 days, in seconds.
const LEAST_RETENTION: u32 = 35 * 86_400;

/// `[vars.gate]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawGate {
    sources: Vec<String>,
    repositories: Vec<Glob>,
    workflows: Vec<Glob>,
    branches: Vec<Glob>,
    run_events: Vec<Glob>,
    expires_in: Option<String>,
}

impl RawGate {
    fn check(self) -> Result<Gate, String> {
        let sources: Result<Vec<_>, _> = self.sources.iter().map(|name| source(name)).collect();
        let lists = [
            ("repositories", &self.repositories),
            ("workflows", &self.workflows),
            ("branches", &self.branches),
            ("run_events", &self.run_events),
        ];
        for (key, globs) in lists {
            if globs.iter().any(|glob| glob.as_str().trim().is_empty()) {
                return Err(format!("{key} has an empty entry, which matches nothing"));
            }
        }
        let sources = sources?;
        self.check_heeded(&sources)?;
        let expires_in = self.expires_in.filter(|text| !text.trim().is_empty());
        Ok(Gate::new(
            sources,
            self.repositories,
            self.workflows,
            self.branches,
            self.run_events,
            expires_in.as_deref().map(duration).transpose()?,
        ))
    }

    /// A condition that no source heeds would let everything through that it was written against.
    fn check_heeded(&self, sources: &[SourceKind]) -> Result<(), String> {
        use SourceKind::{Deployment, Push, Release, WorkflowRun};
        let lists: [(&str, &[Glob], &[SourceKind]); 3] = [
            ("workflows", &self.workflows, &[WorkflowRun]),
            ("run_events", &self.run_events, &[WorkflowRun, Deployment]),
            (
                "branches",
                &self.branches,
                &[WorkflowRun, Push, Release, Deployment],
            ),
        ];
        for (key, globs, heeding) in lists {
            let heeded = sources.is_empty() || sources.iter().any(|kind| heeding.contains(kind));
            if !globs.is_empty() && !heeded {
                let names: Vec<_> = heeding.iter().map(|kind| kind.name()).collect();
                let names = names.join(", ");
                return Err(format!(
                    "{key} counts for {names} only, and sources has none of them"
                ));
            }
        }
        Ok(())
    }
}

fn source(name: &str) -> Result<SourceKind, String> {
    SourceKind::named(name).ok_or_else(|| {
        let known: Vec<_> = SourceKind::ALL.iter().map(|kind| kind.name()).collect();
        format!(
            "sources has {name:?}, which is none of {}",
            known.join(", ")
        )
    })
}

/// A whole number and a unit, `90s`, `30m`, `24h` or `7d`, in seconds: how `expires_in` is written.
///
/// # Errors
/// When it is not, or is not between a second and 366 days.
pub fn duration(text: &str) -> Result<u32, String> {
    const LIMIT: u32 = 366 * 86_400;
    let text = text.trim();
    let split = text.len().saturating_sub(1);
    let parsed = text.split_at_checked(split).and_then(|(number, unit)| {
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        number.parse::<u32>().ok()?.checked_mul(seconds)
    });
    parsed
        .filter(|seconds| (1..=LIMIT).contains(seconds))
        .ok_or_else(|| format!("expires_in is {text:?}; use 90s, 30m, 24h or 7d, at most 366d"))
}

fn text(name: &'static str, vars: &Vars<'_>) -> Result<Option<String>, SettingsError> {
    match vars(name) {
        Var::Absent => Ok(None),
        Var::Text(text) => Ok(Some(text)),
        Var::Json(_) => Err(SettingsError::new(name, "must be text")),
    }
}

/// An empty secret counts as none: it would verify what anybody can sign.
fn secret(name: &'static str, vars: &Vars<'_>) -> Result<Option<Secret>, SettingsError> {
    let secret = text(name, vars)?.map(Secret::new);
    Ok(secret.filter(|secret| !secret.is_empty()))
}

fn required(name: &'static str, vars: &Vars<'_>) -> Result<Secret, SettingsError> {
    secret(name, vars)?.ok_or_else(|| {
        let problem = format!("is not set; set it with: wrangler secret put {name}");
        SettingsError::new(name, problem)
    })
}

fn key(name: &'static str, secret: Secret) -> Result<TokenKey, SettingsError> {
    TokenKey::new(secret)
        .map_err(|error| SettingsError::new(name, format!("is too short: {error}")))
}

#[cfg(test)]
mod tests;
