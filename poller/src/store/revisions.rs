//! Revisions that a service made of parts can be taken back to: which commit, which images, and what brought them.
//!
//! One is written with the end of the deploy that has brought it (`journal`), since somebody may replace it by hand, and once more
//! before it is replaced, like `versions`: the current one may be among them. The commits themselves
//! are kept by refs in their checkouts and the images by local tags (`apply`), not here. What a command has made of a
//! commit is not kept at all: it is run again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use towline_protocol::{Digest, IntentId, ServiceName, Sha};

use super::{Store, StoreError, row, versions::ended};
use crate::{sequence::Revision, version::VersionId};

const REVISION: &str = "revision";

/// A revision as it ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRevision {
    /// What it is known by.
    pub version: VersionId,
    /// What is told of it to commands and projects.
    pub revision: Revision,
    /// The images of its Compose project; none without one.
    #[serde(default)]
    pub images: Vec<KeptImage>,
    /// The intent that brought it, if one did.
    #[serde(default)]
    pub intent: Option<IntentId>,
    /// Since when it ran, if a deploy of ours brought it.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Until when it ran, as far as it is known: when its replacement last began.
    pub until: Timestamp,
}

/// An image of a Compose project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptImage {
    /// The reference that the project's file has.
    pub reference: String,
    /// The image's id.
    pub id: String,
    /// The digest, if the image came from a registry.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// The local tag that spares it from a pruning.
    pub tag: String,
}

/// What nothing that is kept needs any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Local tags of images.
    pub tags: BTreeSet<String>,
    /// Commits.
    pub commits: BTreeSet<Sha>,
}

impl Store {
    /// The revisions that `service` could be taken back to, the last one that ran first. The current one may be among
    /// them, and a commit or an image may have been removed by hand.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn revisions(&self, service: &ServiceName) -> Result<Vec<KeptRevision>, StoreError> {
        all(&self.db, service)
    }

    /// Keeps a revision that is about to be replaced, as the last one that ran, over what was written of the same version.
    /// Its `until` is moved behind that of every other one, since the clock may have been set back.
    ///
    /// # Errors
    /// When the database refuses; the revision must not be replaced then.
    pub fn keep_revision(
        &mut self,
        service: &ServiceName,
        revision: &KeptRevision,
    ) -> Result<(), StoreError> {
        keep(&self.db, service, revision)
    }

    /// Forgets, after a deploy that has brought `current`, the revisions for which `keep`, the current one included, leaves no
    /// room; says what only they needed.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged; they are only kept longer then.
    pub fn forget_revisions(
        &mut self,
        service: &ServiceName,
        keep: u32,
        current: &KeptRevision,
    ) -> Result<Forgotten, StoreError> {
        let mut kept = self.revisions(service)?;
        kept.retain(|one| one.version != current.version);
        let before = usize::try_from(keep.saturating_sub(1)).unwrap_or(usize::MAX);
        let gone = kept.split_off(before.min(kept.len()));
        for one in &gone {
            row::delete(&self.db, REVISION, &key(service, &one.version))?;
        }
        kept.push(current.clone());
        let needed = needs(&kept);
        let mut forgotten = needs(&gone);
        forgotten.tags.retain(|tag| !needed.tags.contains(tag));
        forgotten
            .commits
            .retain(|sha| !needed.commits.contains(sha));
        Ok(forgotten)
    }
}

/// Keeps a revision behind every other one.
pub(super) fn keep(
    db: &Connection,
    service: &ServiceName,
    revision: &KeptRevision,
) -> Result<(), StoreError> {
    let before = all(db, service)?;
    let until = ended(revision.until, before.iter().map(|one| one.until));
    let last = KeptRevision {
        until,
        ..revision.clone()
    };
    row::put(db, REVISION, &key(service, &last.version), &last)
}

fn all(db: &Connection, service: &ServiceName) -> Result<Vec<KeptRevision>, StoreError> {
    let rows = row::all::<KeptRevision>(db, REVISION, &format!("{service}/"))?;
    let mut revisions: Vec<_> = rows.into_iter().map(|(_, revision)| revision).collect();
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.until));
    Ok(revisions)
}

/// What these revisions need to be gone back to.
fn needs(revisions: &[KeptRevision]) -> Forgotten {
    let images = revisions.iter().flat_map(|one| &one.images);
    let commits = revisions.iter().filter_map(|one| one.revision.sha.clone());
    Forgotten {
        tags: images.map(|image| image.tag.clone()).collect(),
        commits: commits.collect(),
    }
}

fn key(service: &ServiceName, version: &VersionId) -> String {
    format!("{service}/{version}")
}
