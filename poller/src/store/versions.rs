//! Versions that a service can be taken back to: how their containers were set up, and what they were.
//!
//! A version is written before it is replaced, so that nothing is lost by a crash; the current one may therefore be
//! among them. The images themselves are kept by local tags (`apply`), not here. The rows hold containers'
//! environments; the file is for its owner only.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use towline_protocol::{Digest, IntentId, ServiceName, Sha};

use super::{Store, StoreError, row};

const VERSION: &str = "version";

/// A version as it ran. Its environment may hold secrets: `Debug` does not show it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The image's id.
    pub image_id: String,
    /// The digest, if the image came from a registry.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// The commit, if a deploy of ours brought it.
    #[serde(default)]
    pub sha: Option<Sha>,
    /// The intent that brought it, if one did.
    #[serde(default)]
    pub intent: Option<IntentId>,
    /// Since when it ran, if a deploy of ours brought it.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Until when it ran, as far as it is known: when its replacement last began. Later than that of every version
    /// before, so that the clock may have been set back in between.
    pub until: Timestamp,
    /// The local tag that spares its image from a pruning.
    pub tag: String,
    /// `GET /containers/{id}/json`.
    pub container: Value,
    /// `GET /images/{id}/json`.
    pub image: Value,
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version")
            .field("image_id", &self.image_id)
            .field("digest", &self.digest)
            .field("sha", &self.sha)
            .field("since", &self.since)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// The versions that `service` could be taken back to, the last one that ran first. The current one may be among
    /// them, and an image may have been removed by hand.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn versions(&self, service: &ServiceName) -> Result<Vec<Version>, StoreError> {
        let rows = row::all::<Version>(&self.db, VERSION, &format!("{service}/"))?;
        let mut versions: Vec<_> = rows.into_iter().map(|(_, version)| version).collect();
        versions.sort_by_key(|version| std::cmp::Reverse(version.until));
        Ok(versions)
    }

    /// Keeps a version, over what was written of the same image.
    ///
    /// # Errors
    /// When the database refuses; the version must not be replaced then.
    pub fn keep_version(
        &mut self,
        service: &ServiceName,
        version: &Version,
    ) -> Result<(), StoreError> {
        row::put(&self.db, VERSION, &key(service, &version.image_id), version)
    }

    /// Forgets a version.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn forget_version(
        &mut self,
        service: &ServiceName,
        image_id: &str,
    ) -> Result<(), StoreError> {
        row::delete(&self.db, VERSION, &key(service, image_id))
    }
}

fn key(service: &ServiceName, image_id: &str) -> String {
    format!("{service}/{image_id}")
}
