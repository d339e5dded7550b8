//! What a service's programs have on this host: who runs them, where, with which variables, and what they may not tell.

use std::path::PathBuf;

use super::Host;
use crate::{health, redact::Secrets, settings::Parts};

/// What the programs of a service have in common.
pub(super) struct Ground {
    user: Option<String>,
    dir: PathBuf,
    env: Vec<(String, String)>,
    /// The values that the host's file gives to them.
    pub(super) secrets: Secrets,
}

impl Ground {
    pub(super) fn of(parts: &Parts) -> Self {
        let variables = parts.command.iter().flat_map(|command| &command.env);
        let mut secrets = Secrets::default();
        for (_, value) in variables.clone() {
            secrets.add(value);
        }
        let own = |(name, value): (&String, &String)| (name.clone(), value.clone());
        Self {
            user: parts.user.clone(),
            dir: parts.dir(),
            env: variables.map(own).collect(),
            secrets,
        }
    }

    /// For checks that are programs.
    pub(super) fn checked<'a>(&'a self, host: &Host<'a>) -> health::Host<'a> {
        health::Host {
            launcher: host.launcher,
            user: self.user.as_deref(),
            dir: &self.dir,
            env: &self.env,
            secrets: &self.secrets,
        }
    }
}
