//! The local tags `towline/SERVICE:DIGEST12`, by which a service's images outlive a pruning: made before a deploy, and
//! taken away after it, with what nothing else names. Two images of a service are kept, the current and the previous.

use towline_protocol::Digest;

use crate::{
    docker::{Docker, EngineError, LocalTag},
    machine::{Deploy, Ending, Kept},
    plan::Observed,
    reference::Reference,
    settings::Service,
};

/// How long the part of a digest in a tag is, in characters.
const SHORT: usize = 12;

/// Tags both images: the new one before it is in use, the old one after.
pub(super) async fn keep(
    engine: &Docker,
    service: &Service,
    observed: &Observed,
    image: &str,
    digest: &Digest,
) -> Result<Kept, EngineError> {
    let tag = |short: &str| {
        let odd = || EngineError::Unexpected(format!("no local tag can be made of {short:?}"));
        keep_tag(service, short).ok_or_else(odd)
    };
    let new = tag(digest.short())?;
    let old = match observed.digest() {
        Some(digest) => tag(digest.short())?,
        // Built on this host: its id has the form of a digest.
        None => tag(observed.image_id().get(7..7 + SHORT).unwrap_or_default())?,
    };
    let keep_old = async {
        match &observed.image {
            Some(_) => engine.tag(observed.image_id(), &old).await,
            None => Ok(()),
        }
    };
    let known = engine.image(&new.to_string()).await?.is_some();
    tokio::try_join!(engine.tag(image, &new), keep_old)?;
    Ok(Kept {
        new: listed(&new),
        old: listed(&old),
        made: !known,
    })
}

/// The local tag by which an image is kept.
fn keep_tag(service: &Service, short_digest: &str) -> Option<Reference> {
    let name = &service.name;
    let plain = format!("towline/{name}:{short_digest}").parse();
    // Some names of services, such as `web-`, are no names of repositories.
    plain
        .or_else(|_| format!("towline/service:{name}.{short_digest}").parse())
        .ok()
}

/// A tag as the engine lists it.
fn listed(tag: &Reference) -> String {
    format!("{}:{}", tag.familiar_name(), tag.tag().unwrap_or_default())
}

/// Takes away the tags of what is not worth keeping after the end of `deploy`, and what nothing else names. What the
/// engine does not let go is only kept longer.
pub(super) async fn tidy(engine: &Docker, deploy: &Deploy) {
    let (Some(kept), Some(ending)) = (&deploy.kept, deploy.ending()) else {
        return;
    };
    let Ok((tags, in_use)) = tokio::try_join!(engine.local_tags(), engine.images_in_use()) else {
        return;
    };
    for stale in stale(kept, ending, &tags, &in_use) {
        let Ok(tag) = stale.tag.parse::<Reference>() else {
            continue;
        };
        if engine.untag(&tag).await.is_ok() {
            engine.remove_unnamed(&stale.image).await.ok();
        }
    }
}

/// After a success all tags of the service but the current and the previous image's; after a failure the one that was
/// made for it. Never one of an image in use. What an operator is to look at stays.
fn stale<'a>(
    kept: &Kept,
    ending: &Ending,
    tags: &'a [LocalTag],
    in_use: &[String],
) -> Vec<&'a LocalTag> {
    let is_stale = |tag: &str| match ending {
        Ending::Succeeded { .. } => {
            is_sibling(tag, &kept.new) && tag != kept.new && tag != kept.old
        }
        Ending::RolledBack { .. } | Ending::FailedUntouched { .. } => kept.made && tag == kept.new,
        Ending::NeedsOperator { .. } => false,
    };
    tags.iter()
        .filter(|local| is_stale(&local.tag) && !in_use.contains(&local.image))
        .collect()
}

/// Whether both are tags of the same service: all but the digest is the same.
fn is_sibling(tag: &str, other: &str) -> bool {
    let parts = |tag: &str| {
        let at = tag.len().checked_sub(SHORT)?;
        let (service, digest) = tag.split_at_checked(at)?;
        let is_hex = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| service.to_owned())
    };
    parts(tag).is_some_and(|service| parts(other) == Some(service))
}

#[cfg(test)]
mod tests {
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
        listed(&keep_tag(&service(name), &format!("{number:012x}")).unwrap())
    }

    fn locals(tags: &[(&str, u32)]) -> Vec<LocalTag> {
        let local = |(name, number): &(&str, u32)| LocalTag {
            tag: tag(name, *number),
            image: format!("sha256:{number}"),
        };
        tags.iter().map(local).collect()
    }

    /// What is stale when number 3 of `name` has taken the place of number 2.
    fn stale_of(name: &str, ending: &Ending, tags: &[LocalTag], in_use: &[&str]) -> Vec<String> {
        let kept = Kept {
            new: tag(name, 3),
            old: tag(name, 2),
            made: true,
        };
        let in_use: Vec<String> = in_use.iter().map(|id| (*id).to_owned()).collect();
        let stale = stale(&kept, ending, tags, &in_use).into_iter();
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
    fn after_a_success_only_the_current_and_the_previous_image_are_kept() {
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
            stale(&kept, &back, &tags, &[]).is_empty(),
            "it was kept before this deploy"
        );
    }
}
