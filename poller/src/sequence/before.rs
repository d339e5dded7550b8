//! What is known of a service made of parts before the first step of a deploy, and is kept for the way back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use towline_protocol::{GitTag, Sha};

use crate::{machine::TagMove, version::VersionId};

/// What is known before the first step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The revision that ran, as far as it is known.
    pub old: Revision,
    /// The revision that should run.
    pub new: Revision,
    /// Where the checkout was; there when the parts have a checkout.
    pub checkout: Option<Checkout>,
    /// The tags to move, of a Compose project.
    pub tags: Vec<TagMove>,
    /// The Compose project, as it was understood; there when the parts have one.
    #[serde(default)]
    pub project: Option<Brought>,
    /// The containers of the Compose project that are to be brought up, as they were.
    pub containers: Vec<OldContainer>,
    /// The file name of the backup to make; there when the parts have a backup.
    pub backup: Option<String>,
    /// Whether the host's file has checks of the service.
    #[serde(default)]
    pub has_checks: bool,
    /// Whether the service passed its checks.
    pub was_healthy: bool,
    /// What the version that ran is known by, if that is known.
    #[serde(default)]
    pub old_version: Option<VersionId>,
    /// What the version that should run is known by, if that is known.
    #[serde(default)]
    pub new_version: Option<VersionId>,
}

/// What is told of a version: to commands, and to people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The commit.
    #[serde(default)]
    pub sha: Option<Sha>,
    /// The branch, as its pusher has named it.
    #[serde(default)]
    pub branch: Option<String>,
    /// The git tag.
    #[serde(default)]
    pub tag: Option<GitTag>,
    /// The number of the workflow's run.
    #[serde(default)]
    pub run_number: Option<u64>,
}

/// Where a checkout was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// Its commit.
    pub commit: Sha,
    /// The branch that it was on; `None` for a detached one.
    pub branch: Option<String>,
}

/// What is brought up of a Compose project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The project's name.
    pub name: String,
    /// The services that are wanted.
    pub wanted: Vec<String>,
    /// Those, and what they depend on.
    pub services: Vec<String>,
    /// The ids of their images by service, of those that have containers.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
}

/// A container of a Compose project, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldContainer {
    /// Its id.
    pub id: String,
    /// Its service in the Compose file.
    pub service: String,
    /// The id of its image.
    pub image: String,
    /// Whether it ran.
    pub ran: bool,
}
