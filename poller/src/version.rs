//! What a version is known by on this host, whatever kind of service it is for, so that one that failed is known again.
//!
//! Pure. Not here: what is not to be tried again (`store`, `select`), and what a service can be taken back to (`store`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::Digest as _;
use thiserror::Error;
use towline_protocol::{Digest, Sha};

const COMMIT: &str = "commit:";
const IMAGES: &str = "images:";

/// What a version is known by. As text it is `sha256:HEX`, `commit:HEX` or `images:sha256:HEX`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionId {
    /// One image, whatever the commit.
    Digest(Digest),
    /// A commit, of which everything is made.
    Commit(Sha),
    /// Several images, or a commit and its images, hashed together.
    Images(Digest),
}

/// Some text is no version.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no version: use sha256:HEX, commit:HEX or images:sha256:HEX")]
pub struct NoVersion(String);

impl VersionId {
    /// The version of a Compose project: the images of its services, by the services' names, and the commit of its
    /// checkout if it has one. `None` when there is neither.
    ///
    /// References are not part of it: another tag that leads to the same images is the same version.
    pub fn of_images(commit: Option<&Sha>, images: &BTreeMap<String, Digest>) -> Option<Self> {
        let digests: BTreeSet<_> = images.values().collect();
        match (commit, digests.first()) {
            (None, None) => None,
            (Some(commit), None) => Some(Self::Commit(commit.clone())),
            (None, Some(one)) if digests.len() == 1 => Some(Self::Digest((*one).clone())),
            (_, Some(_)) => {
                let mut all = commit.map(ToString::to_string).unwrap_or_default();
                for (service, digest) in images {
                    all.push_str(&format!("\n{service} {digest}"));
                }
                let hash = sha2::Sha256::digest(all.as_bytes());
                let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("sha256:{hex}").parse().ok().map(Self::Images)
            }
        }
    }

    /// As people call it: a few digits, 7 of a commit and 12 of a digest.
    pub fn short(&self) -> &str {
        match self {
            Self::Digest(digest) | Self::Images(digest) => digest.short(),
            Self::Commit(sha) => sha.short(),
        }
    }
}

impl From<Digest> for VersionId {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "{digest}"),
            Self::Commit(sha) => write!(f, "{COMMIT}{sha}"),
            Self::Images(digest) => write!(f, "{IMAGES}{digest}"),
        }
    }
}

impl FromStr for VersionId {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let read = if let Some(sha) = text.strip_prefix(COMMIT) {
            sha.parse().map(Self::Commit)
        } else if let Some(digest) = text.strip_prefix(IMAGES) {
            digest.parse().map(Self::Images)
        } else {
            text.parse().map(Self::Digest)
        };
        read.map_err(|_| NoVersion(text.chars().take(80).collect()))
    }
}

impl Serialize for VersionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VersionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SHA, digest};

    fn images(of: &[(&str, char)]) -> BTreeMap<String, Digest> {
        let named = of
            .iter()
            .map(|(name, image)| ((*name).to_owned(), digest(*image)));
        named.collect()
    }

    fn version(commit: Option<&Sha>, of: &[(&str, char)]) -> VersionId {
        VersionId::of_images(commit, &images(of)).unwrap()
    }

    #[test]
    fn a_version_is_the_same_again_after_it_was_text() {
        let sha: Sha = SHA.parse().unwrap();
        let several = version(None, &[("api", 'a'), ("db", 'b')]);
        for (version, text) in [
            (VersionId::Digest(digest('a')), digest('a').to_string()),
            (VersionId::Commit(sha), format!("commit:{SHA}")),
            (several.clone(), several.to_string()),
        ] {
            let json = serde_json::to_string(&version).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<VersionId>(&json).unwrap(), version);
        }
        for bad in ["", "commit:", "commit:main", "images:sha256:00", SHA] {
            let error = bad.parse::<VersionId>().unwrap_err().to_string();
            assert!(error.contains("commit:HEX"), "{bad}: {error}");
        }
    }

    #[test]
    fn one_image_is_its_digest_however_many_services_run_it() {
        let one = VersionId::Digest(digest('a'));
        assert_eq!(version(None, &[("api", 'a')]), one);
        assert_eq!(version(None, &[("api", 'a'), ("worker", 'a')]), one);
        assert_eq!(VersionId::of_images(None, &images(&[])), None);
        assert_eq!(one.short(), "aaaaaaaaaaaa");
    }

    #[test]
    fn another_image_commit_or_place_of_an_image_is_another_version() {
        let (sha, other): (Sha, Sha) = (SHA.parse().unwrap(), "0".repeat(40).parse().unwrap());
        let both = [("api", 'a'), ("db", 'b')];
        let versions = BTreeSet::from([
            version(None, &both),
            version(None, &[("api", 'b'), ("db", 'a')]),
            version(None, &[("api", 'a'), ("db", 'c')]),
            version(Some(&sha), &both),
            version(Some(&other), &both),
            version(Some(&sha), &[("api", 'a')]),
            version(Some(&sha), &[]),
        ]);
        assert_eq!(versions.len(), 7);
        assert_eq!(version(Some(&sha), &both), version(Some(&sha), &both));
        let alone = version(Some(&sha), &[]);
        assert_eq!(
            (&alone, alone.short()),
            (&VersionId::Commit(sha), "3484a3f")
        );
    }
}
