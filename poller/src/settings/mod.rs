//! The host's file as valid values: what this host runs, and what may deploy it.
//!
//! Here: the types and the one way in, [`Settings::parse`], which tells all mistakes at once. Not here: where the
//! file lies and who reads it (`cli`), what an intent is held against (`select`).
//! `read` walks the document and collects mistakes; `service`, `rule`, `events`, `work`, the parts of a service by their
//! names, and `health` know the keys; `values`, `names` and `address` what may stand there; `shared` what two services
//! cannot both have, `order` which of them comes before which.

use std::{fmt, path::PathBuf, time::Duration};

use towline_protocol::{Channel, ServiceName};

use crate::reference::Template;

mod address;
mod backup;
mod choice;
mod command;
mod compose;
mod docker;
mod events;
mod git;
mod health;
mod hooks;
mod mistake;
mod names;
mod order;
mod parts;
mod placeholder;
mod read;
mod rolling;
mod rule;
mod service;
mod shared;
mod strategy;
mod values;
mod work;

pub use address::{CONTAINER, HttpUrl, TcpAddress};
pub use choice::{Choice, Label};
pub use events::{DeploymentRule, Events, PackageRule, PushRule, ReleaseRule, RunRule};
pub use mistake::Mistake;
pub use parts::{Backup, Command, Compose, Git, OnInterrupt, Parts};
pub use rolling::{OnFailure, Rolling};
pub use values::RelayUrl;

/// Everything that the host's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where intents come from.
    pub relay: Relay,
    /// What this host runs, in the order of their names.
    pub services: Vec<Service>,
    /// The file of logins for registries; without it Docker's own places are looked into.
    pub registry_auth_file: Option<PathBuf>,
}

/// Where intents come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// The relay's origin.
    pub url: RelayUrl,
    /// The file with the host's token; without it the environment has the token.
    pub token_file: Option<PathBuf>,
    /// The file with root certificates that count beside Mozilla's.
    pub ca_file: Option<CaFile>,
    /// Whether a connection to the relay is kept open, by which intents come at once.
    pub doorbell: bool,
}

/// A file of root certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFile {
    /// The file.
    pub path: PathBuf,
    /// Where the host's file names it, for what is wrong with it.
    pub place: Place,
}

/// Something that the host runs, and the rule for what may deploy it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, `X` in `[service.X]`.
    pub name: ServiceName,
    /// What may deploy it.
    pub rule: Rule,
    /// The services of this file that an intent for them too is applied to first, each once.
    pub after: Vec<ServiceName>,
    /// The image's reference; `None` is the one that the container was made with.
    pub image: Option<Template>,
    /// How long to wait for an image that is not in the registry yet.
    pub image_wait: Duration,
    /// How many versions are kept to go back to, the current one included; at least 1.
    pub keep: u32,
    /// What is replaced.
    pub work: Work,
    /// How the new version takes the old one's place while that still runs; `None` stops the old one first.
    pub start_first: Option<StartFirst>,
    /// What the new version must pass. Empty: Docker's own healthcheck where the image has one, else running.
    pub health: Vec<HealthCheck>,
    /// For how long nothing may go wrong once all of it is passed; `None` is 3 s, or 10 s where only running is asked for.
    pub stable_for: Option<Duration>,
    /// How long the old version may take to stop; `None` is the container's own limit.
    pub stop_timeout: Option<Duration>,
    /// What runs before and after.
    pub hooks: Hooks,
}

/// What runs before a deploy touches anything, and when the new version has passed its checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// It may put the deploy off, or refuse it.
    pub before: Option<Hook>,
    /// It may have the new version taken back.
    pub after: Option<Hook>,
}

/// A program that has a say in a deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Which, and where.
    pub call: Call,
    /// How long it may take.
    pub timeout: Duration,
}

/// Where a hook runs: a program and its arguments, at least one word, which no shell reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// On this host, as the service's user.
    Run(Vec<String>),
    /// In a container.
    Exec {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The service of the Compose project that the container is of; `None` is a service that is one container.
        of: Option<String>,
    },
}

/// What is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// One container, or several that are alike.
    Docker {
        /// Which.
        container: Choice,
        /// How several are replaced.
        rolling: Rolling,
    },
    /// Something else, of several parts.
    Parts(Box<Parts>),
}

impl Work {
    /// What kind of thing it is, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Docker { .. } => "docker",
            Self::Parts(parts) => parts.kind(),
        }
    }

    /// How several containers are replaced.
    pub fn rolling(&self) -> Rolling {
        match self {
            Self::Docker { rolling, .. } => *rolling,
            Self::Parts(_) => Rolling::default(),
        }
    }

    /// Whether an engine is needed for it.
    pub fn needs_engine(&self) -> bool {
        match self {
            Self::Docker { .. } => true,
            Self::Parts(parts) => parts.needs_engine(),
        }
    }
}

/// How a new version is started beside the old one, which is stopped only when the new one has taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFirst {
    /// For how long the old version goes on once the new one is found under the name.
    pub drain: Duration,
    /// Whether a container that is not fit for it is replaced the other way, the old one stopped first.
    pub may_stop_first: bool,
    /// Where volumes are mounted that both versions may write to at once.
    pub shared_volumes: Vec<String>,
}

/// What may deploy a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The stream that its intents come from.
    pub channel: Channel,
    /// What of its repository deploys it.
    pub events: Events,
    /// Whether manual intents count, those of a job of GitHub Actions included.
    pub manual: bool,
    /// Where the file says so, for refusals.
    pub place: Place,
}

/// What the new version must pass before the old one is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheck {
    /// Something that Towline tries until it is good.
    Tried {
        /// What is tried.
        probe: Probe,
        /// How long the new version has for it.
        within: Duration,
    },
    /// Docker's own healthcheck must say `healthy`.
    Docker {
        /// How long the new version has for it; `None` derives it from the healthcheck itself.
        within: Option<Duration>,
    },
}

/// One way to ask a version whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A GET that must be answered.
    Http(HttpProbe),
    /// A port that must take a connection.
    Tcp(TcpAddress),
    /// A command in the container that must end with status 0: its program and arguments, at least one word.
    Exec(Vec<String>),
}

impl Probe {
    /// Whether it asks the container at its own address.
    pub fn needs_address(&self) -> bool {
        match self {
            Self::Http(http) => http.url.is_of_container(),
            Self::Tcp(address) => address.is_of_container(),
            Self::Exec(_) => false,
        }
    }
}

/// A GET, and what its answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// What to ask for.
    pub url: HttpUrl,
    /// The status that counts; `None` is any of 200 to 299.
    pub status: Option<u16>,
    /// Text that the body must hold.
    pub contains: Option<String>,
    /// What the body must hold as JSON.
    pub json: Option<JsonProbe>,
}

/// A value that must stand in a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonProbe {
    /// Where, as RFC 6901 has it.
    pub pointer: String,
    /// Text, a number, true or false.
    pub equals: serde_json::Value,
}

/// A line of the host's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named on the command line.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Settings {
    /// Reads the host's file from `text`; `file` is its name for messages.
    ///
    /// # Errors
    /// Every mistake in the file, in the order of their lines.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Mistake>> {
        read::settings(text, file)
    }

    /// The channels that the services listen to, each once, in order.
    pub fn channels(&self) -> Vec<Channel> {
        let mut channels: Vec<_> = self
            .services
            .iter()
            .map(|service| service.rule.channel.clone())
            .collect();
        channels.sort();
        channels.dedup();
        channels
    }
}

#[cfg(test)]
mod tests;
