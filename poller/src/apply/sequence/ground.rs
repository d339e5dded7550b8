//! What a service's programs have on this host: who runs them, where, with which variables, and what they may not tell.

use std::{fs, io::Read, path::PathBuf, time::Duration};

use super::{Host, project::project};
use crate::{
    health,
    process::{GRACE, Order},
    redact::Secrets,
    settings::Parts,
};

/// How long a program has where no command says it: it is looked for, and not run.
const LOOK: Duration = Duration::from_secs(30);

/// How much of a file of variables is read, in bytes.
const MAX_VARIABLES: u64 = 1 << 20;

/// What the programs of a service have in common.
pub(crate) struct Ground {
    user: Option<String>,
    dir: PathBuf,
    env: Vec<(String, String)>,
    timeout: Duration,
    /// The values that the host's file gives to them, and the secrets that a project is given by its file of variables.
    pub(crate) secrets: Secrets,
}

impl Ground {
    /// That of a service's parts.
    pub(crate) fn of(parts: &Parts) -> Self {
        let variables = parts.command.iter().flat_map(|command| &command.env);
        let mut secrets = Secrets::default();
        for (_, value) in variables.clone() {
            secrets.add(value);
        }
        if let Some(text) = variables_of_project(parts) {
            secrets.add_env_file(&text);
        }
        let own = |(name, value): (&String, &String)| (name.clone(), value.clone());
        Self {
            user: parts.user.clone(),
            dir: parts.dir(),
            env: variables.map(own).collect(),
            timeout: parts.command.as_ref().map_or(LOOK, |it| it.timeout),
            secrets,
        }
    }

    /// A command of the service, with these variables beside its own.
    pub(crate) fn order(&self, argv: Vec<String>, variables: Vec<(String, String)>) -> Order {
        let own = self.env.iter().cloned();
        Order {
            argv,
            user: self.user.clone(),
            dir: self.dir.clone(),
            env: own.chain(variables).collect(),
            timeout: self.timeout,
            grace: GRACE,
            capture: false,
            stdin: None,
            dies_with_us: false,
        }
    }

    /// For checks that are programs.
    pub(crate) fn checked<'a>(&'a self, host: &Host<'a>) -> health::Host<'a> {
        health::Host {
            launcher: host.launcher,
            user: self.user.as_deref(),
            dir: &self.dir,
            env: &self.env,
            secrets: &self.secrets,
        }
    }
}

/// The file of variables of a Compose project: the one that the host's file names, else Compose's own beside the project's. One that
/// cannot be read has nothing to hide: Compose cannot read it either, or does without.
fn variables_of_project(parts: &Parts) -> Option<String> {
    let project = project(parts, parts.compose.as_ref()?);
    let beside = || Some(project.home.parent()?.join(".env"));
    let path = project.env_file.clone().or_else(beside)?;
    let is_file = fs::metadata(&path).ok()?.is_file();
    let file = fs::File::open(&path).ok().filter(|_| is_file)?;
    let mut text = Vec::new();
    file.take(MAX_VARIABLES).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}
