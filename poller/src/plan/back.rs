//! Going back on purpose: which of a container's versions that are kept, and the replacement that brings it back. Pure.
//!
//! It is worked out from what was stored of that version, not from what runs now, so that a setting which came with the
//! version that is left does not stay. Of several containers each keeps its own settings, since those of one are no other's.

use serde_json::Value;
use towline_protocol::Side;

use super::{
    Naming, Observed, Plan, deploy,
    earlier::{Earlier, NoWayBack, choose_earlier, shown},
    group::{Moved, made},
    obstacle::{SHARED, answers},
    replicas::digest_of,
    target::own,
};
use crate::{
    machine::TagMove,
    reference::Reference,
    spec::{self, CreateRequest, Recreate, SpecError},
    store::{Quarantined, Version},
    version::VersionId,
};

/// What a version is called: the beginning of its digest, or of its image's id if it came from no registry.
pub fn short_name(version: &Version) -> &str {
    let of_id = || version.image_id.trim_start_matches("sha256:").get(..12);
    let digest = version.digest.as_ref().map(|digest| digest.short());
    digest.or_else(of_id).unwrap_or(&version.image_id)
}

/// Which of the versions in `kept`, the last one first, the containers in `found` are to be taken back to. One that only some of
/// them have may be gone back to.
///
/// # Errors
/// See [`NoWayBack`].
pub fn choose_version<'a>(
    kept: &'a [Version],
    found: &[Observed],
    quarantine: &[Quarantined],
    to: Option<&str>,
) -> Result<&'a Version, NoWayBack> {
    let have_all = |version: &Version| found.iter().all(|one| one.image_id() == version.image_id);
    let others = kept.iter().filter(|one| !have_all(one));
    let others: Vec<_> = others.map(|one| earlier(one, quarantine)).collect();
    let current = digest_of(found).map(|digest| digest.to_string());
    choose_earlier(&others, current.as_slice(), to)
}

fn earlier<'a>(version: &'a Version, quarantine: &[Quarantined]) -> Earlier<'a, Version> {
    let digest = version.digest.as_ref().map(ToString::to_string);
    let commit = version.sha.as_ref().map(|sha| format!("commit:{sha}"));
    let known = version.digest.clone().map(VersionId::Digest);
    let is_known = |one: &Quarantined| Some(&one.version) == known.as_ref();
    Earlier {
        names: [
            Some(digest.unwrap_or_else(|| version.image_id.clone())),
            commit,
        ]
        .into_iter()
        .flatten()
        .collect(),
        shown: shown(short_name(version), version.sha.as_ref()),
        is_left: quarantine.iter().any(is_known),
        kept: version,
    }
}

/// Whose settings a container gets that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of the version, as it ran.
    Versions,
    /// Its own, as they are now: of several containers, those of only one were kept.
    Own,
}

impl Whose {
    /// Of this many containers of one service.
    pub fn of(found: usize) -> Self {
        if found > 1 { Self::Own } else { Self::Versions }
    }
}

/// The operator's tag, which led to `version` while it ran, or which `observed` was made with.
pub fn moved_tag(observed: &Observed, version: &Version, whose: Whose) -> Option<Reference> {
    let shown = with_tag(observed, version, whose);
    own(&shown).filter(|own| own.digest().is_none() && own.tag().is_some())
}

/// What has the reference that the replacement is to show.
fn with_tag(observed: &Observed, version: &Version, whose: Whose) -> Observed {
    let is_tag = |own: Reference| own.digest().is_none() && own.tag().is_some();
    match whose {
        Whose::Own if own(observed).is_some_and(is_tag) => observed.clone(),
        Whose::Own | Whose::Versions => as_it_ran(version),
    }
}

/// The replacement of `observed` by `version`; `from` is what `observed` is.
///
/// # Errors
/// When what was stored of the version lacks a part.
pub fn back(
    observed: &Observed,
    version: &Version,
    whose: Whose,
    naming: Naming<'_>,
    from: Side,
) -> Result<Plan, SpecError> {
    let (container, old_image) = match whose {
        Whose::Versions => (&version.container, Some(&version.image)),
        Whose::Own => (&observed.container, observed.image.as_ref()),
    };
    let create = spec::create_request(&Recreate {
        container,
        old_image,
        new_image: &version.image,
        reference: with_tag(observed, version, whose).reference(),
        deploy: naming.deploy,
        service: naming.service,
    })?;
    let image = version.image_id.clone();
    let own = moved_tag(observed, version, whose);
    let moved = own.as_ref().map(|tag| Moved {
        tag,
        image: &version.image,
    });
    let with = made(observed, moved, naming)?;
    let tag = own.filter(|_| naming.tagged != Some(&*image));
    let tag = tag.map(|reference| TagMove {
        reference: reference.to_string(),
        from: naming.tagged.map(str::to_owned),
        to: image.clone(),
    });
    let to = Side {
        sha: version.sha.clone(),
        digest: version.digest.clone(),
    };
    let create = lent(create, observed).replacing(observed.id());
    Ok(Plan {
        deploy: deploy(observed, naming, tag, from, to),
        create: [vec![(create, image.clone())], with].concat(),
        image,
    })
}

/// The same, where the version shared a namespace of a container that was made anew since: it shares that of the one which the
/// current version shares it with.
fn lent(mut create: CreateRequest, observed: &Observed) -> CreateRequest {
    let lender = |mode: &Value| Some(mode.as_str()?.strip_prefix("container:")?.to_owned());
    let is_there = |lender: &str| observed.all.iter().any(|one| answers(one, lender));
    for (field, _) in SHARED {
        let path = format!("/HostConfig/{field}");
        let now = observed.container.pointer(&path);
        let Some(now) = now.filter(|now| lender(now).is_some_and(|lender| is_there(&lender)))
        else {
            continue;
        };
        if let Some(mode) = create.body.pointer_mut(&path)
            && lender(mode).is_some_and(|lender| !is_there(&lender))
        {
            mode.clone_from(now);
        }
    }
    create
}

fn as_it_ran(version: &Version) -> Observed {
    Observed {
        container: version.container.clone(),
        image: Some(version.image.clone()),
        all: Vec::new(),
        with: Vec::new(),
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
            choose_version(&kept, &[running(runs)], quarantine, None).cloned()
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
        let none = choose_version(&kept[..1], &[running('c')], &[], None);
        assert_eq!(none, Err(NoWayBack::NothingKept));
    }

    #[test]
    fn a_digest_may_be_cut_and_is_taken_though_it_was_left_but_must_mean_exactly_one() {
        let mut like_b = version_of('a', 1);
        like_b.digest = Some(format!("sha256:bb{}", "0".repeat(62)).parse().unwrap());
        let kept = [version_of('c', 3), version_of('b', 2), like_b];
        let to = |to| choose_version(&kept, &[running('d')], &[left('c')], Some(to));
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
            choose_version(&[], &[running('d')], &[], Some("e"))
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
        let as_it_was =
            |naming, from| back(&running('b'), &was, Whose::Versions, naming, from).unwrap();
        let plan = as_it_was(naming, from.clone());
        assert_eq!(plan.image, was.image_id);
        assert_eq!(
            (plan.deploy.from, plan.deploy.to.digest),
            (from, Some(digest('a')))
        );
        let body = &plan.create[0].0.body;
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
        let plan = as_it_was(led, Side::default());
        assert_eq!(
            plan.deploy.members[0].tag, None,
            "the tag leads there already"
        );
    }

    #[test]
    fn of_several_containers_one_that_only_some_have_is_a_way_back_and_what_all_have_is_none() {
        let kept = [version_of('b', 2), version_of('a', 1)];
        let of = |runs: [char; 2], left: &[Quarantined]| {
            choose_version(&kept, &runs.map(running), left, None).cloned()
        };
        assert_eq!(of(['b', 'b'], &[]).unwrap(), kept[1]);
        assert_eq!(of(['b', 'a'], &[left('b')]).unwrap(), kept[1]);
        assert_eq!(of(['c', 'b'], &[]).unwrap(), kept[0]);
    }

    #[test]
    fn each_of_several_containers_keeps_its_own_settings_on_the_way_back_but_those_of_its_image() {
        let naming = Naming {
            container: "web-2",
            service: "web",
            deploy: "0a1b2c3d",
            tagged: None,
            was_healthy: true,
            now: Timestamp::UNIX_EPOCH,
        };
        let was = version_of('a', 1);
        let mut second = running('b');
        second.container["Config"]["Env"] = json!(["REPLICA=2", "OF_IMAGE=b"]);
        second.container["Config"]["Image"] = json!("ghcr.io/octo-org/web:next");
        second.image.as_mut().unwrap()["Config"]["Env"] = json!(["OF_IMAGE=b"]);
        let plan = back(&second, &was, Whose::of(2), naming, Side::default()).unwrap();
        let (create, image) = &plan.create[0];
        assert_eq!((image, &plan.image), (&was.image_id, &was.image_id));
        assert_eq!(create.body["Env"], json!(["REPLICA=2"]));
        assert_eq!(create.body["Image"], "ghcr.io/octo-org/web:next");
        let tag = plan.deploy.members[0].tag.as_ref().unwrap();
        assert_eq!(tag.reference, "ghcr.io/octo-org/web:next");
        // One that was made from a digest shows what that version was made from.
        let text = format!("ghcr.io/octo-org/web@{}", digest('b'));
        second.container["Config"]["Image"] = json!(text);
        let plan = back(&second, &was, Whose::Own, naming, Side::default()).unwrap();
        assert_eq!(plan.create[0].0.body["Image"], "ghcr.io/octo-org/web:main");
    }
}
