//! Going back on purpose: which of the versions that are kept, and the replacement that brings it back. Pure.
//!
//! It is worked out from what was stored of that version, not from what runs now, so that a setting which came with the
//! version that is left does not stay.

use std::fmt;

use thiserror::Error;
use towline_protocol::Side;

use super::{Naming, Observed, Plan, member, target::own};
use crate::{
    machine::{Deploy, TagMove},
    reference::Reference,
    spec::{self, Recreate, SpecError},
    store::{Quarantined, Version},
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
    #[error("no version that is kept has a digest that begins with {asked}; kept are: {kept}")]
    Unknown {
        /// What was asked for.
        asked: String,
        /// What there is.
        kept: VersionNames,
    },
    /// Several are called so.
    #[error("several versions that are kept have a digest that begins with {asked}: {kept}")]
    Ambiguous {
        /// What was asked for.
        asked: String,
        /// Those.
        kept: VersionNames,
    },
    /// It is the current one.
    #[error("{0} is what the container has already")]
    Current(String),
}

/// Versions, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNames(Vec<String>);

impl VersionNames {
    fn of<'a>(versions: impl IntoIterator<Item = &'a Version>) -> Self {
        let one = |version: &Version| match &version.sha {
            Some(sha) => format!("{} (commit {})", short_name(version), sha.short()),
            None => short_name(version).to_owned(),
        };
        Self(versions.into_iter().map(one).collect())
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

/// What a version is called: the beginning of its digest, or of its image's id if it came from no registry.
pub fn short_name(version: &Version) -> &str {
    let of_id = || version.image_id.trim_start_matches("sha256:").get(..12);
    let digest = version.digest.as_ref().map(|digest| digest.short());
    digest.or_else(of_id).unwrap_or(&version.image_id)
}

/// Which of the versions in `kept`, the last one first, `observed` is to be taken back to: the one whose digest begins
/// with `to`, or the last one that is not in quarantine.
///
/// # Errors
/// See [`NoWayBack`].
pub fn choose_version<'a>(
    kept: &'a [Version],
    observed: &Observed,
    quarantine: &[Quarantined],
    to: Option<&str>,
) -> Result<&'a Version, NoWayBack> {
    let others = || {
        kept.iter()
            .filter(|version| version.image_id != observed.image_id())
    };
    let Some(to) = to else {
        if others().next().is_none() {
            return Err(NoWayBack::NothingKept);
        }
        let is_left = |version: &Version| {
            let digest = version.digest.clone().map(VersionId::Digest);
            quarantine
                .iter()
                .any(|one| Some(&one.version) == digest.as_ref())
        };
        return others()
            .find(|version| !is_left(version))
            .ok_or_else(|| NoWayBack::AllLeft(VersionNames::of(others())));
    };
    let hex = to.strip_prefix("sha256:").unwrap_or(to);
    let begins = |whole: &str| whole.trim_start_matches("sha256:").starts_with(hex);
    let is_meant = |version: &&Version| match &version.digest {
        Some(digest) => begins(digest.as_str()),
        None => begins(&version.image_id),
    };
    let asked = to.to_owned();
    let meant: Vec<_> = others().filter(is_meant).collect();
    match &meant[..] {
        [one] => Ok(one),
        [] if observed.digest().is_some_and(|own| begins(own.as_str())) => {
            Err(NoWayBack::Current(asked))
        }
        [] => Err(NoWayBack::Unknown {
            asked,
            kept: VersionNames::of(others()),
        }),
        several => Err(NoWayBack::Ambiguous {
            asked,
            kept: VersionNames::of(several.iter().copied()),
        }),
    }
}

/// The operator's tag, which led to `version` while it ran.
pub fn moved_tag(version: &Version) -> Option<Reference> {
    own(&as_it_ran(version)).filter(|own| own.digest().is_none() && own.tag().is_some())
}

/// The replacement of `observed` by `version`, as that one ran; `from` is what `observed` is.
///
/// # Errors
/// When what was stored of the version lacks a part.
pub fn back(
    observed: &Observed,
    version: &Version,
    naming: Naming<'_>,
    from: Side,
) -> Result<Plan, SpecError> {
    let create = spec::create_request(&Recreate {
        container: &version.container,
        old_image: Some(&version.image),
        new_image: &version.image,
        reference: as_it_ran(version).reference(),
        deploy: naming.deploy,
        service: naming.service,
    })?;
    let image = version.image_id.clone();
    let tag = moved_tag(version).filter(|_| naming.tagged != Some(&*image));
    let tag = tag.map(|reference| TagMove {
        reference: reference.to_string(),
        from: naming.tagged.map(str::to_owned),
        to: image.clone(),
    });
    let to = Side {
        sha: version.sha.clone(),
        digest: version.digest.clone(),
    };
    let members = vec![member(observed, naming, tag)];
    Ok(Plan {
        deploy: Deploy::new(naming.deploy.to_owned(), members, from, to),
        create: create.replacing(observed.id()),
        image,
    })
}

fn as_it_ran(version: &Version) -> Observed {
    Observed {
        container: version.container.clone(),
        image: Some(version.image.clone()),
        all: Vec::new(),
        brought: None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, digest};

    /// The version whose digest's digits are all `digit`, which ended at that second.
    fn version_of(digit: char, until: i64) -> Version {
        let id = format!("sha256:{}", digit.to_string().repeat(64));
        let known = format!("ghcr.io/octo-org/web@{}", digest(digit));
        Version {
            digest: Some(digest(digit)),
            sha: None,
            intent: None,
            since: None,
            until: Timestamp::from_second(until).unwrap(),
            tag: String::new(),
            container: json!({
                "Id": format!("container{digit}"), "Image": id,
                "Config": { "Image": "ghcr.io/octo-org/web:main", "Env": [format!("V={digit}")], "Labels": {} },
                "HostConfig": { "NetworkMode": "bridge", "RestartPolicy": { "Name": "always" } },
                "NetworkSettings": { "Networks": {} }
            }),
            image: json!({ "Id": id, "RepoDigests": [known], "Config": {} }),
            image_id: id,
        }
    }

    fn running(digit: char) -> Observed {
        as_it_ran(&version_of(digit, 0))
    }

    fn left(digit: char) -> Quarantined {
        Quarantined {
            version: digest(digit).into(),
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
    fn without_a_digest_it_is_the_last_one_that_was_not_left_and_does_not_run() {
        let kept = [version_of('c', 3), version_of('b', 2), version_of('a', 1)];
        let last = |runs, quarantine: &[Quarantined]| {
            choose_version(&kept, &running(runs), quarantine, None).cloned()
        };
        assert_eq!(last('d', &[]).unwrap(), kept[0]);
        assert_eq!(
            last('c', &[]).unwrap(),
            kept[1],
            "a failed deploy keeps the current one too"
        );
        assert_eq!(last('b', &[left('c')]).unwrap(), kept[2]);
        let error = last('a', &[left('b'), left('c')]).unwrap_err().to_string();
        assert!(
            error.contains("cccccccccccc, bbbbbbbbbbbb") && error.contains("--to"),
            "{error}"
        );
        let none = choose_version(&kept[..1], &running('c'), &[], None);
        assert_eq!(none, Err(NoWayBack::NothingKept));
    }

    #[test]
    fn a_digest_may_be_cut_and_is_taken_though_it_was_left_but_must_mean_exactly_one() {
        let mut like_b = version_of('a', 1);
        like_b.digest = Some(format!("sha256:bb{}", "0".repeat(62)).parse().unwrap());
        let kept = [version_of('c', 3), version_of('b', 2), like_b];
        let to = |to| choose_version(&kept, &running('d'), &[left('c')], Some(to));
        let whole = digest('c');
        for c in ["c", "sha256:ccc", whole.as_str()] {
            assert_eq!(to(c), Ok(&kept[0]), "{c}");
        }
        assert_eq!(to("bb0"), Ok(&kept[2]));
        let error = to("bb").unwrap_err().to_string();
        assert!(
            error.starts_with("several") && error.contains("bb0000000000"),
            "{error}"
        );
        let error = to("e").unwrap_err().to_string();
        assert!(
            error.contains("begins with e") && error.contains("cccccccccccc"),
            "{error}"
        );
        assert_eq!(to("ddd"), Err(NoWayBack::Current("ddd".to_owned())));
        assert!(
            choose_version(&[], &running('d'), &[], Some("e"))
                .unwrap_err()
                .to_string()
                .ends_with("none")
        );
    }

    #[test]
    fn the_replacement_has_that_versions_settings_and_takes_the_current_ones_place() {
        let naming = Naming {
            container: "web",
            service: "web",
            deploy: "0a1b2c3d",
            tagged: Some("sha256:other"),
            was_healthy: true,
            now: Timestamp::UNIX_EPOCH,
        };
        let from = Side {
            sha: Some(testing::SHA.parse().unwrap()),
            digest: Some(digest('b')),
        };
        let was = version_of('a', 1);
        let plan = back(&running('b'), &was, naming, from.clone()).unwrap();
        assert_eq!(plan.image, was.image_id);
        assert_eq!(
            (plan.deploy.from, plan.deploy.to.digest),
            (from, Some(digest('a')))
        );
        let body = &plan.create.body;
        assert_eq!(body["Env"], json!(["V=a"]));
        assert_eq!(body["Image"], "ghcr.io/octo-org/web:main");
        assert_eq!(body["Labels"][spec::PREDECESSOR_LABEL], "containerb");
        let member = &plan.deploy.members[0];
        assert_eq!(member.old, "containerb");
        let tag = member.tag.as_ref().unwrap();
        assert_eq!(
            (tag.from.as_deref(), &tag.to),
            (Some("sha256:other"), &was.image_id)
        );
        let led = Naming {
            tagged: Some(&was.image_id),
            ..naming
        };
        let plan = back(&running('b'), &was, led, Side::default()).unwrap();
        assert_eq!(
            plan.deploy.members[0].tag, None,
            "the tag leads there already"
        );
    }
}
