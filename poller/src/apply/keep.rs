//! What a service can be taken back to: its last versions' images and settings, as many as `keep` says, the current one
//! included.
//!
//! An image is kept by a local tag `towline/SERVICE:DIGEST12`, made before a deploy and taken away after it, with what
//! nothing else names; the settings are in the store.

use jiff::Timestamp;
use towline_protocol::{Digest, ServiceName};

use crate::{
    docker::{Docker, EngineError, LocalTag},
    machine::{Deploy, Ending, Fault, Kept},
    plan::Observed,
    reference::{KEPT_DIGITS, Reference, kept_tag},
    settings::Service,
    store::{Running, Store, StoreError, Version, versions::ended},
};

/// Tags the new image before it is in use, and those of the `replaced` after.
pub(super) async fn keep(
    engine: &Docker,
    service: &Service,
    replaced: &[Observed],
    image: &str,
    digest: &Digest,
) -> Result<Kept, EngineError> {
    let new = made_tag(service, Some(digest), image)?;
    let known = engine.image(&new.to_string()).await?.is_some();
    let old = keep_old(engine, service, replaced);
    let (old, ()) = tokio::try_join!(old, engine.tag(image, &new))?;
    Ok(Kept {
        new: new.familiar(),
        old,
        made: !known,
    })
}

/// Tags the images of a way back: the earlier one, whose tag may have been taken away by hand, and the current ones.
pub(super) async fn keep_back(
    engine: &Docker,
    service: &Service,
    replaced: &[Observed],
    version: &Version,
) -> Result<Kept, EngineError> {
    let new = made_tag(service, version.digest.as_ref(), &version.image_id)?;
    let old = keep_old(engine, service, replaced);
    let (old, ()) = tokio::try_join!(old, engine.tag(&version.image_id, &new))?;
    Ok(Kept {
        new: new.familiar(),
        old,
        // It stays when the way back fails.
        made: false,
    })
}

/// Tags the image of each, and returns the first one's tag.
async fn keep_old(
    engine: &Docker,
    service: &Service,
    replaced: &[Observed],
) -> Result<String, EngineError> {
    let mut first = None;
    for observed in different(replaced) {
        let old = made_tag(service, observed.digest().as_ref(), observed.image_id())?;
        if observed.image.is_some() {
            engine.tag(observed.image_id(), &old).await?;
        }
        first.get_or_insert_with(|| old.familiar());
    }
    Ok(first.unwrap_or_default())
}

/// One of each image.
fn different(observed: &[Observed]) -> Vec<&Observed> {
    let mut seen: Vec<&Observed> = Vec::new();
    for one in observed {
        if seen.iter().all(|other| other.image_id() != one.image_id()) {
            seen.push(one);
        }
    }
    seen
}

/// Keeps what a deploy of `name` is to replace, before anything is touched: each version once.
pub(super) fn remember(
    store: &mut Store,
    name: &ServiceName,
    replaced: &[Observed],
) -> Result<(), StoreError> {
    for observed in different(replaced) {
        let running = store.running(name)?;
        let before = store.versions(name)?;
        let now = ended(Timestamp::now(), before.iter().map(|one| one.until));
        let tag = kept_tag(name, observed.digest().as_ref(), observed.image_id());
        let tag = tag.map(|tag| tag.familiar()).unwrap_or_default();
        if let Some(version) = version(observed, running, &tag, now) {
            store.keep_version(name, &version)?;
        }
    }
    Ok(())
}

/// The local tag of an image.
fn made_tag(
    service: &Service,
    digest: Option<&Digest>,
    image_id: &str,
) -> Result<Reference, EngineError> {
    let odd = || EngineError::Unexpected(format!("no local tag can be made of {image_id:?}"));
    kept_tag(&service.name, digest, image_id).ok_or_else(odd)
}

/// The version that runs, to be gone back to when its image is there: the image is what nobody can make again.
/// `running` is what the last deploy that took effect had brought.
fn version(
    observed: &Observed,
    running: Option<Running>,
    tag: &str,
    now: Timestamp,
) -> Option<Version> {
    let image = observed.image.clone()?;
    let digest = observed.digest();
    let running = running.filter(|running| digest.is_some() && running.side.digest == digest);
    let since = running.as_ref().map(|running| running.since);
    let (sha, intent) = running
        .map(|running| (running.side.sha, running.intent))
        .unwrap_or_default();
    Some(Version {
        image_id: observed.image_id().to_owned(),
        digest,
        sha,
        intent,
        since,
        until: now,
        tag: tag.to_owned(),
        container: observed.container.clone(),
        image,
    })
}

/// Lets go of what is not worth keeping after the end of `deploy` of `name`: settings, tags, and images that nothing
/// else names. What the store or the engine does not let go is only kept longer, as is everything of a service that
/// the host's file does not name any more.
pub(super) async fn tidy(
    engine: &Docker,
    store: &mut Store,
    name: &ServiceName,
    service: Option<&Service>,
    deploy: &Deploy,
) {
    let (Some(kept), Some(ending), Some(service)) = (&deploy.kept, deploy.ending(), service) else {
        return;
    };
    let succeeded = matches!(ending, Ending::Succeeded { .. });
    if !succeeded && deploy.fault == Fault::Interruption {
        // The next try needs the image, and the registry may be out of reach by then.
        return;
    }
    let Ok(worth) = worth_keeping(store, name, service.keep, kept, succeeded) else {
        return;
    };
    let Ok((tags, in_use)) = tokio::try_join!(engine.local_tags(), engine.images_in_use()) else {
        return;
    };
    for stale in stale(kept, ending, &worth, &tags, &in_use) {
        let Ok(tag) = stale.tag.parse::<Reference>() else {
            continue;
        };
        if engine.untag(&tag).await.is_ok() {
            engine.remove_unnamed(&stale.image).await.ok();
        }
    }
}

/// The tags of the versions before the current one that `keep` asks for; after a success the others are forgotten.
fn worth_keeping(
    store: &mut Store,
    name: &ServiceName,
    keep: u32,
    kept: &Kept,
    succeeded: bool,
) -> Result<Vec<String>, StoreError> {
    let mut versions = store.versions(name)?;
    versions.retain(|version| version.tag != kept.new);
    let before = usize::try_from(keep.saturating_sub(1)).unwrap_or(usize::MAX);
    let forgotten = versions.split_off(before.min(versions.len()));
    if succeeded {
        for version in forgotten {
            store.forget_version(name, &version.image_id)?;
        }
    }
    Ok(versions.into_iter().map(|version| version.tag).collect())
}

/// After a success all tags of the service but the current image's and those `worth` keeping; after a failure the one
/// that was made for it. Never one of an image in use. What an operator is to look at stays.
fn stale<'a>(
    kept: &Kept,
    ending: &Ending,
    worth: &[String],
    tags: &'a [LocalTag],
    in_use: &[String],
) -> Vec<&'a LocalTag> {
    let is_stale = |tag: &str| match ending {
        Ending::Succeeded { .. } => {
            is_sibling(tag, &kept.new) && tag != kept.new && !worth.iter().any(|kept| kept == tag)
        }
        Ending::RolledBack { .. } | Ending::FailedUntouched { .. } => kept.made && tag == kept.new,
        Ending::NeedsOperator { .. } | Ending::Paused { .. } => false,
    };
    tags.iter()
        .filter(|local| is_stale(&local.tag) && !in_use.contains(&local.image))
        .collect()
}

/// Whether both are tags of the same service: all but the digest is the same.
fn is_sibling(tag: &str, other: &str) -> bool {
    let parts = |tag: &str| {
        let at = tag.len().checked_sub(KEPT_DIGITS)?;
        let (service, digest) = tag.split_at_checked(at)?;
        let is_hex = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| service.to_owned())
    };
    parts(tag).is_some_and(|service| parts(other) == Some(service))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use towline_protocol::Gate;

    use super::*;
    use crate::settings::Settings;

    fn service(name: &str) -> Service {
        let text = format!(
            "[relay]\nurl = \"https://towline.example.workers.dev\"\n[service.{name}]\nrepository = \"octo-org/web\"\n\
             workflow = \"ci.yml\"\nbranch = \"main\"\ndocker = {{ container = \"web\" }}\n"
        );
        Settings::parse(&text, "towline.toml")
            .unwrap()
            .services
            .remove(0)
    }

    /// The tag of a service's image number `number`.
    fn tag(name: &str, number: u32) -> String {
        let id = format!("sha256:{number:012x}");
        kept_tag(&service(name).name, None, &id).unwrap().familiar()
    }

    fn locals(tags: &[(&str, u32)]) -> Vec<LocalTag> {
        let local = |(name, number): &(&str, u32)| LocalTag {
            tag: tag(name, *number),
            image: format!("sha256:{number}"),
        };
        tags.iter().map(local).collect()
    }

    /// What is stale when number 3 of `name` has taken the place of number 2, which is worth keeping.
    fn stale_of(name: &str, ending: &Ending, tags: &[LocalTag], in_use: &[&str]) -> Vec<String> {
        let kept = Kept {
            new: tag(name, 3),
            old: tag(name, 2),
            made: true,
        };
        let in_use: Vec<String> = in_use.iter().map(|id| (*id).to_owned()).collect();
        let worth = [tag(name, 2)];
        let stale = stale(&kept, ending, &worth, tags, &in_use).into_iter();
        stale.map(|local| local.tag.clone()).collect()
    }

    fn why() -> String {
        "unfit".to_owned()
    }

    const GOOD: Ending = Ending::Succeeded {
        gate: Some(Gate::Healthy),
    };

    #[test]
    fn a_kept_image_is_called_after_its_service_and_digest_even_where_a_name_is_no_repository() {
        assert_eq!(tag("web", 1), "towline/web:000000000001");
        for odd in ["web-", "a___b", "a-_b"] {
            assert_eq!(tag(odd, 1), format!("towline/service:{odd}.000000000001"));
        }
    }

    #[test]
    fn after_a_success_only_the_current_image_and_those_worth_keeping_are_kept() {
        for name in ["web", "web-"] {
            let mut tags = locals(&[(name, 0), (name, 1), (name, 2), (name, 3)]);
            tags.extend(locals(&[("web2", 1), ("web--", 1), ("service", 1)]));
            tags.extend(
                ["octo-org/web:latest", "web:1", "towline/web:latest"].map(|tag| LocalTag {
                    tag: tag.to_owned(),
                    image: "sha256:9".to_owned(),
                }),
            );
            assert_eq!(
                stale_of(name, &GOOD, &tags, &[]),
                [tag(name, 0), tag(name, 1)]
            );
            assert_eq!(
                stale_of(name, &GOOD, &tags, &["sha256:0"]),
                [tag(name, 1)],
                "an image in use is kept"
            );
        }
    }

    #[test]
    fn after_a_failure_only_the_failed_image_is_let_go_and_an_operator_finds_all() {
        let tags = locals(&[("web", 1), ("web", 2), ("web", 3)]);
        for ending in [
            Ending::RolledBack { why: why() },
            Ending::FailedUntouched { why: why() },
        ] {
            assert_eq!(stale_of("web", &ending, &tags, &[]), [tag("web", 3)]);
            assert!(stale_of("web", &ending, &tags, &["sha256:3"]).is_empty());
        }
        let needs = Ending::NeedsOperator { why: why() };
        assert!(stale_of("web", &needs, &tags, &[]).is_empty());
        let kept = Kept {
            new: tag("web", 3),
            old: tag("web", 2),
            made: false,
        };
        let back = Ending::RolledBack { why: why() };
        assert!(
            stale(&kept, &back, &[], &tags, &[]).is_empty(),
            "it was kept before this deploy"
        );
    }

    /// What `docker inspect` shows of a container on image number `number`.
    fn observed(number: u32) -> Observed {
        let image = format!("sha256:{number:064x}");
        let digest = format!("ghcr.io/octo-org/web@sha256:{number:064x}");
        Observed {
            container: json!({ "Id": "abc", "Image": image, "Config": { "Image": "ghcr.io/octo-org/web:main" } }),
            image: Some(json!({ "Id": image, "RepoDigests": [digest] })),
            all: Vec::new(),
            with: Vec::new(),
            brought: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_version_has_the_commit_of_the_deploy_that_brought_it_and_of_no_other() {
        let brought = |number| Running {
            side: towline_protocol::Side {
                sha: Some(crate::testing::SHA.parse().unwrap()),
                digest: observed(number).digest(),
            },
            version: None,
            revision: None,
            placed: None,
            intent: Some(crate::testing::intent(7, 1).id),
            since: at(1),
            unwell: None,
        };
        let ours = version(&observed(1), Some(brought(1)), "t", at(9)).unwrap();
        assert_eq!(ours.sha, brought(1).side.sha);
        assert_eq!((ours.intent, ours.since), (brought(1).intent, Some(at(1))));
        assert_eq!((ours.digest, ours.until), (observed(1).digest(), at(9)));
        let by_hand = version(&observed(2), Some(brought(1)), "t", at(9)).unwrap();
        assert_eq!(
            (by_hand.sha, by_hand.intent, by_hand.since),
            (None, None, None)
        );
        let mut gone = observed(1);
        gone.image = None;
        assert_eq!(version(&gone, None, "t", at(9)), None);
    }

    #[test]
    fn versions_beyond_keep_are_forgotten_after_a_success_and_only_then() {
        let state = tempfile::tempdir().unwrap();
        let mut store = Store::open(state.path()).unwrap();
        let name = "web".parse().unwrap();
        for number in 1..=4 {
            let until = at(i64::from(number));
            let version = version(&observed(number), None, &tag("web", number), until).unwrap();
            store.keep_version(&name, &version).unwrap();
        }
        // Gone back to number 2: it is the current one, and none of those before.
        let kept = Kept {
            new: tag("web", 2),
            old: tag("web", 4),
            made: false,
        };
        let mut worth =
            |keep, succeeded| worth_keeping(&mut store, &name, keep, &kept, succeeded).unwrap();
        assert_eq!(worth(2, false), [tag("web", 4)]);
        assert_eq!(
            worth(3, false),
            [tag("web", 4), tag("web", 3)],
            "nothing was forgotten"
        );
        assert_eq!(worth(3, true), [tag("web", 4), tag("web", 3)]);
        assert_eq!(
            worth(9, true),
            [tag("web", 4), tag("web", 3)],
            "number 1 was forgotten"
        );
        assert_eq!(worth(1, true), [""; 0]);
        let left: Vec<_> = store.versions(&name).unwrap();
        assert_eq!(
            left.iter().map(|version| &version.tag).collect::<Vec<_>>(),
            [&tag("web", 2)]
        );
    }
}
