//! The `release` event: a release was drafted, published, edited or deleted.

use serde::Deserialize;

use super::{Actor, Repository};

/// The `release` event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReleaseEvent {
    /// `published`, or one of a growing number of other words.
    pub action: String,
    /// The repository.
    pub repository: Repository,
    /// The release.
    pub release: Release,
    /// Who did it.
    pub sender: Option<Actor>,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Release {
    /// Stable identity.
    pub id: u64,
    /// The git tag.
    pub tag_name: String,
    /// What the tag was to be made from: a branch or a commit, unless the tag was there already.
    pub target_commitish: Option<String>,
    /// Whether it is not published.
    pub draft: Option<bool>,
    /// Whether it is marked as a pre-release.
    pub prerelease: Option<bool>,
    /// Its page.
    pub html_url: Option<String>,
}
