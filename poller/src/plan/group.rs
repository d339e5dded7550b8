//! Containers that share a namespace of the one that is replaced: they would be left in a dead one, and are made anew with
//! it, each after the one that it shares with, from its own image. Pure.
//!
//! Not here: whether they may be made anew (`obstacle`), and looking at them (`apply`).

use serde_json::Value;

use super::{
    Made, Naming, Observed, Refusal,
    obstacle::{SHARED, answers, name},
    target::own,
};
use crate::{
    machine::Member,
    reference::Reference,
    spec::{self, CreateRequest, Recreate, SpecError},
};

/// One of them.
#[derive(Clone, Debug)]
pub struct Companion {
    /// What the engine shows of it, without the other containers.
    pub observed: Observed,
    /// The id of the image that its reference leads to now; `None` when it leads to none.
    pub tagged: Option<String>,
    /// Whether it is well now, by Docker's own healthcheck if it has one.
    pub is_well: bool,
}

/// A tag that is moved, and the image that it leads to then: by its id alone while it is not here yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved<'a> {
    pub(super) tag: &'a Reference,
    pub(super) image: &'a Value,
}

/// The container and those that share a namespace of it or of one another, each after those that it shares with; in the order
/// of their names where that leaves a choice.
///
/// # Errors
/// The names of those that share with each other in a circle.
pub(super) fn group(observed: &Observed) -> Result<Vec<&Value>, Vec<String>> {
    let first = &observed.container;
    let mut others: Vec<&Value> = observed
        .all
        .iter()
        .filter(|one| !is_same(one, first))
        .collect();
    others.sort_by_key(|one| name(one));
    let mut all = vec![first];
    while let Some(at) = others.iter().position(|one| shares_with_any(one, &all)) {
        all.push(others.remove(at));
    }
    let mut waiting: Vec<&Value> = all.split_off(1);
    waiting.sort_by_key(|one| name(one));
    if shares_with_any(first, &waiting) {
        waiting.insert(0, first);
        return Err(names(&waiting));
    }
    while !waiting.is_empty() {
        let is_next = |one: &&Value| {
            let mut before = waiting.iter().filter(|other| !is_same(one, other));
            !before.any(|other| shares_with(one, other))
        };
        let Some(at) = waiting.iter().position(is_next) else {
            return Err(names(&waiting));
        };
        all.push(waiting.remove(at));
    }
    Ok(all)
}

fn names(all: &[&Value]) -> Vec<String> {
    all.iter().map(|one| name(one).to_owned()).collect()
}

fn is_same(one: &Value, other: &Value) -> bool {
    one.get("Id") == other.get("Id")
}

fn shares_with_any(one: &Value, others: &[&Value]) -> bool {
    others.iter().any(|other| shares_with(one, other))
}

fn shares_with(one: &Value, other: &Value) -> bool {
    lenders(one).any(|(_, lender)| answers(other, lender))
}

/// What the container shares, in words, and with whom: a name or an id.
pub fn lenders(container: &Value) -> impl Iterator<Item = (&'static str, &str)> {
    SHARED.into_iter().filter_map(|(field, how)| {
        let mode = container.pointer(&format!("/HostConfig/{field}"))?;
        Some((how, mode.as_str()?.strip_prefix("container:")?))
    })
}

/// Those that are replaced with the container.
pub fn companions(observed: &Observed) -> Vec<&Value> {
    group(observed).map_or_else(|_| Vec::new(), |all| all.into_iter().skip(1).collect())
}

/// Why one of those that are replaced with the container cannot be made as it is, if so: its reference does not lead to its
/// image any more. One that is made from the very `tag` that is moved goes with it.
pub fn strayed(observed: &Observed, tag: Option<&Reference>) -> Option<Refusal> {
    observed.with.iter().find_map(|one| {
        let image = one.observed.image_id();
        if one.comes_along(tag) || one.tagged.as_deref() == Some(image) {
            return None;
        }
        Some(Refusal::Strayed {
            name: one.observed.name().to_owned(),
            reference: one.observed.reference().to_owned(),
            image: image.to_owned(),
        })
    })
}

/// Why none of several containers of one service may be replaced, if so: others share a namespace of one of them.
pub fn accompanied_replica(found: &[Observed]) -> Option<Refusal> {
    let mut several = found.iter().filter(|_| found.len() > 1);
    several.find_map(|one| {
        let with = names(&companions(one));
        let name = one.name().to_owned();
        (!with.is_empty()).then_some(Refusal::AccompaniedReplica { name, with })
    })
}

/// The operator's tag of the container: what an intent moves, unless it is made from another repository.
pub fn own_tag(observed: &Observed) -> Option<Reference> {
    own(observed).filter(|own| own.digest().is_none())
}

/// Those that are replaced with the container, as they are now.
pub(super) fn members(observed: &Observed, naming: Naming<'_>) -> Vec<Member> {
    let member = |one: &Companion| Member {
        name: one.observed.name().to_owned(),
        old: one.observed.id().to_owned(),
        policy: one.observed.policy(),
        runs: one.observed.runs(),
        was_healthy: one.is_well,
        was_restarting: one.observed.restarts(naming.now),
        tag: None,
    };
    observed.with.iter().map(member).collect()
}

/// How each of them is made, from the image that it has or that its tag is moved to.
pub(super) fn made(
    observed: &Observed,
    moved: Option<Moved<'_>>,
    naming: Naming<'_>,
) -> Result<Vec<Made>, SpecError> {
    let made = |one: &Companion| {
        let own = one.observed.image.as_ref();
        let moved = moved.filter(|moved| one.comes_along(Some(moved.tag)));
        let image = moved.map(|moved| moved.image).or(own).ok_or(SpecError {
            of: "the container",
            field: "Image",
        })?;
        let mut request = spec::create_request(&Recreate {
            container: &one.observed.container,
            old_image: own,
            new_image: image,
            reference: one.observed.reference(),
            deploy: naming.deploy,
            service: naming.service,
        })?;
        name_by_id(&mut request, observed);
        let id = image.get("Id").and_then(Value::as_str).unwrap_or_default();
        Ok((request, id.to_owned()))
    };
    observed.with.iter().map(made).collect()
}

/// Names those of the group that the container shares with by their whole ids, in whose place their replacements' come when
/// these are made.
fn name_by_id(request: &mut CreateRequest, observed: &Observed) {
    let all = || std::iter::once(observed).chain(observed.with.iter().map(|one| &one.observed));
    for (field, _) in SHARED {
        let mode = request.body.pointer_mut(&format!("/HostConfig/{field}"));
        let Some(Value::String(mode)) = mode else {
            continue;
        };
        let lender = mode.strip_prefix("container:");
        let lender = lender.and_then(|text| all().find(|one| answers(&one.container, text)));
        if let Some(lender) = lender {
            *mode = format!("container:{}", lender.id());
        }
    }
}

impl Companion {
    /// Whether it is made from this tag.
    fn comes_along(&self, tag: Option<&Reference>) -> bool {
        let tag = tag.filter(|tag| tag.tag().is_some());
        tag.is_some() && own(&self.observed).as_ref() == tag
    }
}
