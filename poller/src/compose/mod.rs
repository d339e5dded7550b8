//! The user's own Compose v2: what a file means, and bringing a project up.
//!
//! Here: asking Compose (`cli`), having it bring a project up (`up`, `back`), what it answered (`resolved`, `unset`: pure), the
//! images of a project (`asked`, `images`, `earlier`, `kept`) and its containers (`containers`, `placed`, `twin`). Compose alone interprets the file and makes the containers; its
//! command line is the only interface that it promises. Not here: how programs run (`process`), when what is done (`sequence`),
//! whether the result is well (`health`).
//!
//! What can be refused is refused by [`Cli::resolve`] and by the functions of `asked` and `images`, which touch nothing but the
//! engine's store of images. [`Cli::up`] may be repeated after it was killed at any moment.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{docker::EngineError, process::ProcessError, settings::Compose};

mod asked;
mod back;
mod cli;
mod containers;
mod earlier;
mod healthcheck;
mod images;
mod kept;
pub(crate) mod labels;
mod name;
mod patience;
mod placed;
mod resolved;
mod shared;
mod tags;
mod twin;
mod unset;
mod up;

pub use asked::{WantedImage, asked};
pub use back::{Back, half_made, resolve_old, up_old};
pub use cli::Cli;
pub use containers::{
    Container, Mend, beside, containers, is_done, mend, mends, missing, strayed, taken, unchanged,
};
pub use earlier::pull_kept;
pub use healthcheck::lacks_healthcheck;
pub use images::{
    Asked, ImageTrouble, Pulled, digests, foresee, missing_images, pins, pull, pull_missing,
};
pub use kept::{Running, keep_pulled, keep_running, let_go, running};
pub use name::project_name;
pub use patience::Patience;
pub use placed::{Placed, PlacedService, had_ended};
pub use resolved::{ComposeService, Healthcheck, Resolved};
pub use shared::Followed;
pub use tags::{tag_away, tag_back, tag_forth};
pub use twin::twin;
pub use up::{UP_LIMIT, Up};

/// A project, as Compose is to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The file, absolute. Relative paths in it begin at its folder.
    pub file: PathBuf,
    /// Where the file is on this host, by whose folder Compose calls the project; differs from `file` when that is a
    /// scratch copy of another commit.
    pub home: PathBuf,
    /// The project's name, if the host's file has one.
    pub name: Option<String>,
    /// The services that are brought up; empty is all of the active profiles.
    pub services: Vec<String>,
    /// The profiles that are active.
    pub profiles: Vec<String>,
    /// The file of values for the project's variables, absolute.
    pub env_file: Option<PathBuf>,
}

impl Project {
    /// The project of a service; `checkout` is its git checkout.
    pub fn new(compose: &Compose, checkout: Option<&Path>) -> Self {
        Self::read_at(compose, checkout, checkout)
    }

    /// The same project as another commit has it, in the folder `scratch`.
    pub fn in_scratch(compose: &Compose, checkout: &Path, scratch: &Path) -> Self {
        Self::read_at(compose, Some(checkout), Some(scratch))
    }

    fn read_at(compose: &Compose, checkout: Option<&Path>, read: Option<&Path>) -> Self {
        let at = |root: Option<&Path>, path: &Path| match (root, checkout) {
            (Some(root), Some(checkout)) => {
                // An absolute path into the checkout is the commit's too.
                root.join(path.strip_prefix(checkout).unwrap_or(path))
            }
            _ => path.to_owned(),
        };
        Self {
            file: at(read, &compose.file),
            home: at(checkout, &compose.file),
            name: compose.project.clone(),
            services: compose.services.clone(),
            profiles: compose.profiles.clone(),
            env_file: compose.env_file.as_deref().map(|path| at(read, path)),
        }
    }
}

/// What is wrong with a profile of the host's file that no service of the project has.
pub fn unknown_profile(project: &Project, profile: &str) -> String {
    let file = project.home.display();
    format!(
        "{file}: no service has the profile {profile:?} of the host's file; write it as it is there, or leave it out"
    )
}

/// What a project is told of the version that it is to run, with names: `TOWLINE_SHA` and `TOWLINE_TAG`
/// ([`crate::sequence::compose_variables`]). What is not known is not there, so that Compose's own defaults
/// (`${TOWLINE_TAG:-latest}`) count.
pub type Variables = [(String, String)];

/// Why Compose was of no use. Nothing was touched, unless it was asked to bring something up.
#[derive(Debug, Error)]
pub enum ComposeError {
    /// There is no Compose v2.
    #[error("Compose v2 is missing: {0}")]
    Missing(String),
    /// A Compose that lacks what is needed.
    #[error("Compose {found} is too old: Towline needs {needed} or newer")]
    TooOld {
        /// Its version.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// The project cannot be understood, in Compose's words or ours.
    #[error("{}: {why}", file.display())]
    Refused {
        /// The project's file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// Variables that nobody has set, and that have no default.
    #[error("{}: {}", file.display(), unset::words(names))]
    Unset {
        /// The project's file.
        file: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// The services did not come up.
    #[error("docker compose up {how}: {said}")]
    NotUp {
        /// How Compose ended.
        how: String,
        /// The end of what it said.
        said: String,
    },
    /// The engine, when what was half made was to be made whole.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Compose could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// An answer that is not what Compose describes.
    #[error("Compose answered something unexpected: {0}")]
    Unexpected(String),
}

/// What Docker's command line says of an engine that goes away or is away, in lower case. It alone says how a call ended, so
/// that an engine which is back by now is no proof that it was there.
const AWAY: [&str; 4] = [
    "cannot connect to the docker daemon",
    "error during connect",
    "connection reset by peer",
    "connection refused",
];
/// Before what an engine has answered.
const ANSWERED: &str = "response from daemon";

impl ComposeError {
    /// Whether nobody knows what came of it, because the engine has gone away in the middle.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_loss(),
            Self::NotUp { said, .. } => said.to_lowercase().lines().any(|line| {
                let line = line.trim_end();
                let is_away = line.ends_with("eof") || AWAY.iter().any(|away| line.contains(away));
                !line.contains(ANSWERED) && is_away
            }),
            Self::Missing(_)
            | Self::TooOld { .. }
            | Self::Refused { .. }
            | Self::Unset { .. }
            | Self::Process(_)
            | Self::Unexpected(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
