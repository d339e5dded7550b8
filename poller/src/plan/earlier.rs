//! Which of what is kept of a service it is to be taken back to on purpose, whatever the service is made of. Pure.

use std::fmt;

use thiserror::Error;
use towline_protocol::Sha;

use crate::{
    store::{KeptRevision, Quarantined},
    version::VersionId,
};

/// Why there is no version to go back to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoWayBack {
    /// No deploy has replaced anything yet, or `keep` is 1.
    #[error(
        "no earlier version is kept: one is, from the deploy on that replaces it, unless keep is 1"
    )]
    NothingKept,
    /// Each is in quarantine.
    #[error(
        "every version that is kept has failed here, or was left on purpose; name one by --to all the same: {0}"
    )]
    AllLeft(VersionNames),
    /// Nothing kept is called so.
    #[error(
        "no version that is kept has a digest or commit that begins with {asked}; kept are: {kept}"
    )]
    Unknown {
        /// What was asked for.
        asked: String,
        /// What there is.
        kept: VersionNames,
    },
    /// Several are called so.
    #[error(
        "several versions that are kept have a digest or commit that begins with {asked}: {kept}"
    )]
    Ambiguous {
        /// What was asked for.
        asked: String,
        /// Those.
        kept: VersionNames,
    },
    /// It is the current one.
    #[error("{0} is what runs already")]
    Current(String),
}

/// Versions, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNames(Vec<String>);

impl VersionNames {
    fn of<'e, T: 'e>(versions: impl IntoIterator<Item = &'e Earlier<'e, T>>) -> Self {
        let shown = versions.into_iter().map(|one| one.shown.clone());
        Self(shown.collect())
    }
}

impl fmt::Display for VersionNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.0.join(", "))
    }
}

/// Something that is kept and does not run.
#[derive(Clone, Debug)]
pub struct Earlier<'a, T> {
    /// What it may be asked for by, in full, each with its kind before a colon.
    pub names: Vec<String>,
    /// As people call it.
    pub shown: String,
    /// Whether it has failed here, or was left on purpose.
    pub is_left: bool,
    /// What is kept.
    pub kept: &'a T,
}

/// Which of `others`, the last one that ran first, is to be gone back to: the one whose name begins with `to`, or the last
/// one that was not left. `current` are the names of what runs.
///
/// # Errors
/// See [`NoWayBack`].
pub fn choose_earlier<'a, T>(
    others: &[Earlier<'a, T>],
    current: &[String],
    to: Option<&str>,
) -> Result<&'a T, NoWayBack> {
    let Some(to) = to else {
        if others.is_empty() {
            return Err(NoWayBack::NothingKept);
        }
        let chosen = others.iter().find(|one| !one.is_left);
        let chosen = chosen.ok_or_else(|| NoWayBack::AllLeft(VersionNames::of(others)))?;
        return Ok(chosen.kept);
    };
    let is_meant = |names: &[String]| names.iter().any(|name| begins(name, to));
    let meant: Vec<_> = others.iter().filter(|one| is_meant(&one.names)).collect();
    let asked = to.to_owned();
    match &meant[..] {
        [one] => Ok(one.kept),
        [] if is_meant(current) => Err(NoWayBack::Current(asked)),
        [] => Err(NoWayBack::Unknown {
            asked,
            kept: VersionNames::of(others),
        }),
        several => Err(NoWayBack::Ambiguous {
            asked,
            kept: VersionNames::of(several.iter().copied()),
        }),
    }
}

/// Which of the revisions in `kept`, the last one first, a service of parts is to be taken back to; `current` is what runs,
/// if that is known.
///
/// # Errors
/// See [`NoWayBack`].
pub fn choose_revision<'a>(
    kept: &'a [KeptRevision],
    current: Option<&VersionId>,
    quarantine: &[Quarantined],
    to: Option<&str>,
) -> Result<&'a KeptRevision, NoWayBack> {
    let is_current = |one: &&KeptRevision| Some(&one.version) == current;
    let (runs, others): (Vec<_>, Vec<_>) = kept.iter().partition(is_current);
    let others: Vec<_> = others.iter().map(|one| earlier(one, quarantine)).collect();
    let runs = runs.iter().flat_map(|one| earlier(one, quarantine).names);
    let current = current.map(ToString::to_string).into_iter();
    let current: Vec<_> = current.chain(runs).collect();
    choose_earlier(&others, &current, to)
}

fn earlier<'a>(kept: &'a KeptRevision, quarantine: &[Quarantined]) -> Earlier<'a, KeptRevision> {
    let sha = kept.revision.sha.as_ref();
    let digests = kept.images.iter().filter_map(|image| image.digest.as_ref());
    let mut names = vec![kept.version.to_string()];
    names.extend(sha.map(|sha| format!("commit:{sha}")));
    names.extend(digests.map(ToString::to_string));
    Earlier {
        names,
        shown: match &kept.version {
            VersionId::Commit(sha) => sha.short().to_owned(),
            VersionId::Digest(_) | VersionId::Images(_) => shown(kept.version.short(), sha),
        },
        is_left: quarantine.iter().any(|one| one.version == kept.version),
        kept,
    }
}

/// A version as people call it, with its commit if that is known.
pub(super) fn shown(name: &str, sha: Option<&Sha>) -> String {
    match sha {
        Some(sha) => format!("{name} (commit {})", sha.short()),
        None => name.to_owned(),
    }
}

/// Whether `start` is the beginning of a name, with or without its kind.
fn begins(name: &str, start: &str) -> bool {
    let hex = name.rsplit(':').next().unwrap_or_default();
    name.starts_with(start) || hex.starts_with(start)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{sequence::Revision, store::KeptImage, testing::digest};

    fn commit(digit: char) -> Sha {
        digit.to_string().repeat(40).parse().unwrap()
    }

    /// A checkout's revision.
    fn revision(digit: char) -> KeptRevision {
        KeptRevision {
            version: VersionId::Commit(commit(digit)),
            revision: Revision {
                sha: Some(commit(digit)),
                ..Revision::default()
            },
            images: Vec::new(),
            intent: None,
            since: None,
            until: Timestamp::UNIX_EPOCH,
        }
    }

    /// A project's revision with two images.
    fn project(one: char, other: char) -> KeptRevision {
        let images = [one, other].map(|image| KeptImage {
            reference: "ghcr.io/octo-org/web:main".to_owned(),
            id: digest(image).to_string(),
            digest: Some(digest(image)),
            tag: String::new(),
        });
        let named = images.iter().map(|image| (image.id.clone(), digest(one)));
        let named = named.chain([("db".to_owned(), digest(other))]);
        KeptRevision {
            version: VersionId::of_images(Some(&commit(one)), &named.collect()).unwrap(),
            images: images.to_vec(),
            ..revision(one)
        }
    }

    fn left(revision: &KeptRevision) -> Quarantined {
        Quarantined {
            version: revision.version.clone(),
            sha: None,
            intent: None,
            channel: "octo-org/web".parse().unwrap(),
            place: Default::default(),
            since: Timestamp::UNIX_EPOCH,
            why: String::new(),
            on_purpose: true,
        }
    }

    #[test]
    fn without_a_name_it_is_the_last_revision_that_was_not_left_and_does_not_run() {
        let kept = [revision('c'), revision('b'), revision('a')];
        let last = |runs: char, left: &[Quarantined]| {
            let runs = VersionId::Commit(commit(runs));
            choose_revision(&kept, Some(&runs), left, None)
        };
        assert_eq!(last('d', &[]), Ok(&kept[0]));
        assert_eq!(last('c', &[]), Ok(&kept[1]));
        assert_eq!(last('c', &[left(&kept[1])]), Ok(&kept[2]));
        let error = last('d', &[&kept[0], &kept[1], &kept[2]].map(left)).unwrap_err();
        assert!(error.to_string().contains("ccccccc, bbbbbbb"), "{error}");
        let none = choose_revision(&kept[2..], Some(&kept[2].version), &[], None);
        assert_eq!(none, Err(NoWayBack::NothingKept));
        assert_eq!(choose_revision(&kept, None, &[], None), Ok(&kept[0]));
    }

    #[test]
    fn a_commit_or_an_images_digest_may_be_cut_but_must_mean_exactly_one() {
        let kept = [project('c', 'e'), project('b', 'e')];
        let to = |to| choose_revision(&kept, None, &[], Some(to));
        for c in ["ccc", "commit:cc", "sha256:ccc"] {
            assert_eq!(to(c), Ok(&kept[0]), "{c}");
        }
        let error = to("sha256:ee").unwrap_err().to_string();
        assert!(
            error.starts_with("several") && error.contains("(commit bbbbbbb)"),
            "{error}"
        );
        let error = to("commit:ee").unwrap_err().to_string();
        assert!(error.contains("begins with commit:ee"), "{error}");
    }

    #[test]
    fn what_runs_already_is_told_as_such_by_each_of_its_names() {
        let kept = [revision('b')];
        let runs = VersionId::Commit(commit('a'));
        let chosen = choose_revision(&kept, Some(&runs), &[], Some("aaaa"));
        assert_eq!(chosen, Err(NoWayBack::Current("aaaa".to_owned())));
        let kept = [project('c', 'e'), project('b', 'd')];
        for name in ["cccc", "eeee"] {
            let chosen = choose_revision(&kept, Some(&kept[0].version), &[], Some(name));
            assert_eq!(chosen, Err(NoWayBack::Current(name.to_owned())));
        }
    }
}
