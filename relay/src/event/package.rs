//! The `registry_package` event: a package was published at GitHub's registry.
//!
//! GitHub sends one for every manifest of an image for several platforms, and only the image's own has a tag.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Actor, Repository};

/// The `registry_package` event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PackageEvent {
    /// `published`, `updated`, or a word that is not known yet.
    pub action: String,
    /// The repository that the package is linked to; a package may have none.
    pub repository: Option<Repository>,
    /// The package.
    pub registry_package: Package,
    /// Who published it.
    pub sender: Option<Actor>,
}

/// A package, and the version of it that was published.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Package {
    /// Its name within its owner's registry.
    pub name: String,
    /// Of what kind it is, `CONTAINER` for an image.
    pub package_type: Option<String>,
    /// The same in another word: `docker` or `CONTAINER` for an image.
    pub ecosystem: Option<String>,
    /// Where it is.
    pub registry: Option<Registry>,
    /// Whose it is.
    pub owner: Option<Actor>,
    /// Its page.
    pub html_url: Option<String>,
    /// What was published.
    pub package_version: Option<PackageVersion>,
}

/// The registry of a package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Registry {
    /// Of what kind it is, `CONTAINER` for images.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// One version of a package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PackageVersion {
    /// For an image, its manifest's digest.
    pub version: Option<String>,
    /// For an image, `ghcr.io/OWNER/NAME:TAG`, in any case.
    pub package_url: Option<String>,
    /// What the version was made from: a branch or a commit.
    pub target_commitish: Option<String>,
    /// What only an image has.
    pub container_metadata: Option<ContainerMetadata>,
}

/// What only an image has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ContainerMetadata {
    /// Its tag.
    pub tag: Option<Tag>,
    /// Its labels.
    pub labels: Option<Labels>,
}

/// An image's tag.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Tag {
    /// The tag, empty for a manifest that has none.
    pub name: Option<String>,
}

/// An image's labels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Labels {
    /// All of them, by name.
    pub all_labels: Option<BTreeMap<String, Option<String>>>,
}
