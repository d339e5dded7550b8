//! What a registry's refusal means. The engine passes it on as a sentence, which is all that there is to go by.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::EngineError;
use crate::{credentials::LoginError, reference::Reference};

/// Why an image could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reference}: {trouble}: {cause}{}", self.advice())]
pub struct RegistryError {
    /// The image.
    pub reference: String,
    /// What kind of trouble it is.
    pub trouble: RegistryTrouble,
    /// Who said so.
    pub cause: Cause,
    sent: Option<Sent>,
}

/// Who said that an image could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// The engine.
    #[error(transparent)]
    Engine(EngineError),
    /// The file of logins, or a credential helper.
    #[error(transparent)]
    Login(LoginError),
    /// Nobody: there was no answer in time.
    #[error("no {what} within {} s", limit.as_secs())]
    Nobody {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
}

/// What proved to the registry who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A login, by where it came from.
    Login(String),
    /// None was in this file, or no file is known.
    Nothing(Option<PathBuf>),
}

/// The kinds of trouble with a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryTrouble {
    /// The registry has no such tag or digest.
    Absent,
    /// The registry does not let us look, or has no such repository: it does not say which.
    Denied,
    /// Too many requests.
    RateLimited,
    /// No registry answers there.
    Unreachable,
    /// The registry failed, or broke off in the middle.
    Broken,
    /// What came is not what its digest says.
    Mismatch,
    /// The image has nothing for this platform.
    Platform,
    /// The engine itself: not reachable, or no room.
    Engine,
    /// The file of logins is not as it should be.
    Login,
    /// A credential helper failed.
    Helper,
}

impl fmt::Display for RegistryTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "not in the registry",
            Self::Denied => "access denied, or no such repository",
            Self::RateLimited => "the registry wants fewer requests",
            Self::Unreachable => "the registry does not answer",
            Self::Broken => "the registry failed",
            Self::Mismatch => "what the registry sent does not have the digest that it should",
            Self::Platform => "not for this platform",
            Self::Engine => "the engine could not store it",
            Self::Login | Self::Helper => "nothing was asked of the registry",
        })
    }
}

impl RegistryTrouble {
    /// Whether the same request may work later.
    pub fn may_pass(self) -> bool {
        match self {
            Self::Absent
            | Self::Denied
            | Self::RateLimited
            | Self::Unreachable
            | Self::Broken
            | Self::Helper => true,
            Self::Mismatch | Self::Platform | Self::Engine | Self::Login => false,
        }
    }

    /// Whether the version itself is no good here, so that no further try of the same digest can end otherwise.
    pub fn condemns(self) -> bool {
        match self {
            Self::Mismatch | Self::Platform => true,
            Self::Absent
            | Self::Denied
            | Self::RateLimited
            | Self::Unreachable
            | Self::Broken
            | Self::Engine
            | Self::Login
            | Self::Helper => false,
        }
    }

    /// Whether the registry is better asked less and less often. What is merely not there yet comes at any moment, and
    /// registries say "denied" of that too.
    pub fn wants_rest(self) -> bool {
        match self {
            Self::RateLimited | Self::Unreachable | Self::Broken => true,
            Self::Absent
            | Self::Denied
            | Self::Helper
            | Self::Mismatch
            | Self::Platform
            | Self::Engine
            | Self::Login => false,
        }
    }
}

impl RegistryError {
    pub(super) fn of(reference: &Reference, source: EngineError, sent: &Sent) -> Self {
        let trouble = match &source {
            EngineError::NotFound(message) => trouble(404, message),
            EngineError::Refused { status, message } => trouble(*status, message),
            EngineError::Address(_) | EngineError::Unreachable { .. } => RegistryTrouble::Engine,
            EngineError::Unexpected(_) => RegistryTrouble::Broken,
        };
        Self {
            reference: reference.to_string(),
            trouble,
            cause: Cause::Engine(source),
            sent: Some(sent.clone()),
        }
    }

    pub(super) fn without_login(reference: &Reference, error: LoginError) -> Self {
        let trouble = if error.may_pass() {
            RegistryTrouble::Helper
        } else {
            RegistryTrouble::Login
        };
        Self {
            reference: reference.to_string(),
            trouble,
            cause: Cause::Login(error),
            sent: None,
        }
    }

    pub(super) fn silent(reference: &Reference, what: &'static str, limit: Duration) -> Self {
        Self {
            reference: reference.to_string(),
            trouble: RegistryTrouble::Unreachable,
            cause: Cause::Nobody { what, limit },
            sent: None,
        }
    }

    /// Whoever is turned away wants to know as whom they asked.
    fn advice(&self) -> String {
        match (self.trouble, &self.sent) {
            (RegistryTrouble::Denied, Some(Sent::Login(origin))) => {
                format!("; asked with the login of {origin}")
            }
            (
                RegistryTrouble::Denied | RegistryTrouble::RateLimited,
                Some(Sent::Nothing(Some(path))),
            ) => {
                let path = path.display();
                format!("; asked without a login, since {path} has none for this registry")
            }
            (RegistryTrouble::Denied | RegistryTrouble::RateLimited, Some(Sent::Nothing(None))) => {
                "; asked without a login, since no file of logins is known: set registry_auth_file"
                    .to_owned()
            }
            _ => String::new(),
        }
    }
}

/// Engines give the status 404, 500 or (inside of a stream) 200 to the same trouble, so that the words come first.
pub(crate) fn trouble(status: u16, message: &str) -> RegistryTrouble {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["toomanyrequests", "too many requests", "rate limit"]) || status == 429 {
        RegistryTrouble::RateLimited
    } else if says(&[
        "no matching manifest",
        "does not match the specified platform",
    ]) {
        RegistryTrouble::Platform
    } else if says(&[
        "verification failed for digest",
        "layers from manifest don't match image configuration",
    ]) {
        RegistryTrouble::Mismatch
    } else if says(&["no space left", "read-only file system"]) {
        RegistryTrouble::Engine
    } else if says(&[
        "denied",
        "unauthorized",
        "authentication required",
        "no basic auth",
    ]) || matches!(status, 401 | 403)
    {
        RegistryTrouble::Denied
    } else if says(&["manifest unknown", "name unknown", "not found"]) || status == 404 {
        RegistryTrouble::Absent
    } else if says(&[
        "dial tcp",
        "no such host",
        "connection refused",
        "i/o timeout",
        "tls:",
        "x509",
        "deadline exceeded",
    ]) {
        RegistryTrouble::Unreachable
    } else {
        RegistryTrouble::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_say_is_told_apart() {
        for (status, message, expected) in [
            (
                404,
                "manifest for 127.0.0.1:5000/web:v9 not found: manifest unknown: manifest unknown",
                RegistryTrouble::Absent,
            ),
            (
                404,
                "manifest unknown: manifest unknown",
                RegistryTrouble::Absent,
            ),
            (
                404,
                "pull access denied for octo/web, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                RegistryTrouble::Denied,
            ),
            (
                500,
                "Get \"https://ghcr.io/v2/octo-org/web/manifests/v1\": unauthorized",
                RegistryTrouble::Denied,
            ),
            (
                500,
                "Head \"https://127.0.0.1:5000/v2/web/manifests/v1\": no basic auth credentials",
                RegistryTrouble::Denied,
            ),
            (
                500,
                "toomanyrequests: You have reached your pull rate limit",
                RegistryTrouble::RateLimited,
            ),
            (
                500,
                "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
                RegistryTrouble::Unreachable,
            ),
            (
                500,
                "Get \"https://x.invalid/v2/\": dial tcp: lookup x.invalid: no such host",
                RegistryTrouble::Unreachable,
            ),
            (
                500,
                "received unexpected HTTP status: 503 Service Unavailable",
                RegistryTrouble::Broken,
            ),
            (200, "unexpected EOF", RegistryTrouble::Broken),
            (
                200,
                "filesystem layer verification failed for digest sha256:1111",
                RegistryTrouble::Mismatch,
            ),
            (
                500,
                "manifest verification failed for digest sha256:1111",
                RegistryTrouble::Mismatch,
            ),
            (
                200,
                "write /var/lib/docker/tmp/x: no space left on device",
                RegistryTrouble::Engine,
            ),
            (
                404,
                "no matching manifest for linux/arm64/v8 in the manifest list entries",
                RegistryTrouble::Platform,
            ),
        ] {
            assert_eq!(trouble(status, message), expected, "{message}");
        }
    }

    #[test]
    fn a_denial_says_as_whom_was_asked() {
        let reference = "ghcr.io/octo-org/web:v1".parse().unwrap();
        let source = EngineError::Refused {
            status: 500,
            message: "unauthorized".to_owned(),
        };
        let said = |sent| RegistryError::of(&reference, source.clone(), &sent).to_string();
        let file = PathBuf::from("/root/.docker/config.json");
        let none = said(Sent::Nothing(Some(file)));
        assert!(
            none.contains("without a login, since /root/.docker/config.json"),
            "{none}"
        );
        assert!(said(Sent::Nothing(None)).contains("set registry_auth_file"));
        let with = said(Sent::Login("/etc/towline/logins.json".to_owned()));
        assert!(
            with.contains("with the login of /etc/towline/logins.json"),
            "{with}"
        );
    }

    #[test]
    fn only_what_may_pass_is_waited_for() {
        assert!(RegistryTrouble::Absent.may_pass() && RegistryTrouble::RateLimited.may_pass());
        assert!(!RegistryTrouble::Platform.may_pass() && !RegistryTrouble::Engine.may_pass());
    }

    #[test]
    fn only_what_is_wrong_with_the_version_condemns_it() {
        assert!(RegistryTrouble::Mismatch.condemns() && RegistryTrouble::Platform.condemns());
        assert!(!RegistryTrouble::Engine.condemns() && !RegistryTrouble::Login.condemns());
    }
}
