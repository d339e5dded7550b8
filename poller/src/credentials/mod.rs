//! Logins for registries, from the file that `docker login` writes and the credential helpers that it names.
//!
//! Here: which file counts ([`Keyring::new`]), and asking it with a limit in time, since a helper is a program of
//! somebody else. `file` reads it and alone names `docker_credential`. Not here: what a registry says to a login
//! (`docker`). Nothing is kept: each ask reads anew, because tokens rotate.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use thiserror::Error;
use tokio::{sync::oneshot, time::timeout};
use towline_protocol::Secret;

mod file;

/// How long a credential helper may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What proves who we are to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A user's name and password, or a token in the password's place.
    Password {
        /// The name.
        user: String,
        /// The password or token.
        password: Secret,
    },
    /// A token that the registry exchanges for others.
    IdentityToken(Secret),
}

/// A login for one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The registry as Docker's own files call it.
    pub server: String,
    /// The proof.
    pub proof: Proof,
    /// Where it comes from, for people: the file, and the helper if one was asked.
    pub origin: String,
}

/// Why nobody knows whether there is a login.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoginError {
    /// The file cannot be read.
    #[error("cannot read the registry logins in {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file is not what `docker login` writes.
    #[error("{} is not a file of registry logins ({what}); `docker --config FOLDER login REGISTRY` writes one", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without a word of its content.
        what: String,
    },
    /// The helper is not installed.
    #[error("{} names the credential helper {helper}, which is not on the PATH", path.display())]
    NoHelper {
        /// The file.
        path: PathBuf,
        /// The program.
        helper: String,
    },
    /// The helper ended badly, or said something that is no login.
    #[error("the credential helper {helper} gave no login for {server}: {said}")]
    Helper {
        /// The program.
        helper: String,
        /// The registry.
        server: String,
        /// The helper's words, a line at most.
        said: String,
    },
    /// The helper, or the file, does not answer: now, or since an earlier ask.
    #[error("the login for {server} has not come within {} s, by {} or a credential helper that it names", limit.as_secs(), path.display())]
    Silent {
        /// The registry.
        server: String,
        /// The file.
        path: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
}

impl LoginError {
    /// Whether the same ask may go better later, without anybody changing a file.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Helper { .. } | Self::Silent { .. } => true,
            Self::Unreadable { .. } | Self::Malformed { .. } | Self::NoHelper { .. } => false,
        }
    }
}

/// Who chose the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// The host's file, by `registry_auth_file`: it must be there.
    HostsFile,
    /// A variable of the environment: systemd's credentials, `DOCKER_CONFIG` or `HOME`.
    Variable(&'static str),
}

/// Where logins are looked up.
#[derive(Clone, Debug)]
pub struct Keyring {
    source: Option<(PathBuf, ChosenBy)>,
    limit: Duration,
    /// The registries that are asked about now: a helper that hangs is not joined by others of its kind, and keeps no
    /// other registry's login back.
    asking: Arc<Mutex<BTreeSet<String>>>,
}

/// Nobody panics while holding it, and a set is whole at all times.
fn locked(asking: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    asking.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keyring {
    /// The first of: `named`, which is the host's `registry_auth_file`; systemd's credential `registry-auth`;
    /// `$DOCKER_CONFIG/config.json`; `$HOME/.docker/config.json`.
    pub fn new(named: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let by = |name: &'static str, rest: &str| {
            let folder = variable(name).filter(|value| !value.is_empty())?;
            Some((Path::new(&folder).join(rest), ChosenBy::Variable(name)))
        };
        let named = named.map(|path| (path.to_owned(), ChosenBy::HostsFile));
        let credential =
            || by("CREDENTIALS_DIRECTORY", "registry-auth").filter(|(path, _)| path.exists());
        let source = named
            .or_else(credential)
            .or_else(|| by("DOCKER_CONFIG", "config.json"))
            .or_else(|| by("HOME", ".docker/config.json"));
        Self {
            source,
            ..Self::empty()
        }
    }

    /// No login for any registry.
    pub fn empty() -> Self {
        Self {
            source: None,
            limit: LIMIT,
            asking: Arc::default(),
        }
    }

    /// The same with another limit for helpers.
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The file that is looked into, and who chose it.
    pub fn source(&self) -> Option<(&Path, ChosenBy)> {
        let (path, by) = self.source.as_ref()?;
        Some((path, *by))
    }

    /// The login for `registry` (`docker.io`, `ghcr.io`, `127.0.0.1:5000`); `None` when there is none.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn login(&self, registry: &str) -> Result<Option<Login>, LoginError> {
        let Some((path, by)) = self.source.clone() else {
            return Ok(None);
        };
        let silent = LoginError::Silent {
            server: registry.to_owned(),
            path: path.clone(),
            limit: self.limit,
        };
        if !locked(&self.asking).insert(registry.to_owned()) {
            return Err(silent);
        }
        let (sender, answer) = oneshot::channel();
        let (asking, server) = (Arc::clone(&self.asking), registry.to_owned());
        // Not tokio's blocking pool: its end would wait for a helper that hangs.
        let started = thread::Builder::new()
            .name("login".to_owned())
            .spawn(move || {
                let found = file::login(&path, by == ChosenBy::HostsFile, &server);
                locked(&asking).remove(&server);
                // Nobody waits any more for what comes too late.
                let _ = sender.send(found);
            });
        if started.is_err() {
            locked(&self.asking).remove(registry);
            return Err(silent);
        }
        match timeout(self.limit, answer).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Err(silent),
        }
    }
}

impl fmt::Display for Proof {
    /// Who it is, for people; never the proof itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => f.write_str(user),
            Self::IdentityToken(_) => f.write_str("the owner of a token"),
        }
    }
}

#[cfg(test)]
mod tests;
