//! Versions that a service can be taken back to: how their containers were set up, and what they were.
//!
//! A version is written before it is replaced, so that nothing is lost by a crash; the current one may therefore be
//! among them. The images themselves are kept by local tags (`apply`), not here. The rows hold containers'
//! environments; the file is for its owner only.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
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

/// When what is replaced at `now` is said to have ended: after all of `before`, also where the clock has been set back, since
/// the order of versions is the order of these times.
pub(crate) fn ended(now: Timestamp, before: impl Iterator<Item = Timestamp>) -> Timestamp {
    let last = before.max();
    let next = last.and_then(|last| last.checked_add(SignedDuration::from_millis(1)).ok());
    next.or(last).map_or(now, |next| next.max(now))
}

fn key(service: &ServiceName, image_id: &str) -> String {
    format!("{service}/{image_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_replaced_after_the_clock_was_set_back_is_the_last_one_all_the_same() {
        let before = [at(900), at(2000), at(1000)].into_iter();
        assert_eq!(ended(at(3000), before.clone()), at(3000));
        for replaced in [at(5), at(2000)] {
            assert!(ended(replaced, before.clone()) > at(2000), "{replaced}");
        }
        assert_eq!(ended(at(5), [].into_iter()), at(5));
        assert_eq!(ended(at(5), [Timestamp::MAX].into_iter()), Timestamp::MAX);
    }
}
