//! The containers of one service where a label leads to several: replicas of one thing, each replaced as it is, in one
//! deploy. Pure.
//!
//! Not here: how many are replaced at a time, and what the failure of one does to the others (`machine`).

use std::cmp::Ordering;

use serde_json::Value;
use towline_protocol::{Digest, Intent};

use super::{Observed, Plan, Refusal, Target, repo_digests, target, target::own};
use crate::{
    machine::Deploy,
    reference::{Reference, Template},
    settings::{Label, OnFailure, Rolling},
};

/// Why the containers that `label` leads to are no replicas of one thing: not all are of one repository.
pub fn unlike(label: &Label, found: &[Observed]) -> Option<Refusal> {
    let first = repository(found.first()?);
    if found.iter().all(|one| repository(one) == first) {
        return None;
    }
    Some(Refusal::Ambiguous {
        label: label.to_string(),
        names: found.iter().map(with_reference).collect(),
    })
}

/// What the containers are images of: the repository that they were made from, or their image where that has no name.
fn repository(observed: &Observed) -> String {
    let known = || observed.image.iter().flat_map(repo_digests).next();
    let reference = own(observed).or_else(known);
    let named = reference.as_ref().map(Reference::name);
    named.unwrap_or_else(|| observed.image_id().to_owned())
}

fn with_reference(observed: &Observed) -> String {
    format!("{} ({})", observed.name(), observed.reference())
}

/// The image that `intent` asks for, for each of the containers: the same for all, with the reference that each was made with.
///
/// # Errors
/// See [`Refusal`]; also when the containers ask for different images.
pub fn targets(
    image: Option<&Template>,
    intent: &Intent,
    found: &[Observed],
) -> Result<Vec<Target>, Refusal> {
    let each = found.iter().map(|one| target(image, intent, one));
    let targets: Vec<Target> = each.collect::<Result<_, _>>()?;
    let Some(first) = targets.first() else {
        return Ok(targets);
    };
    // A digest that is known is the same image by any tag.
    let is_same = |one: &Target| one.wanted == first.wanted || first.digest.is_some();
    if targets.iter().all(is_same) {
        return Ok(targets);
    }
    Err(Refusal::MixedTags(
        found.iter().map(with_reference).collect(),
    ))
}

/// The digest that all of them run, if it is the same.
pub fn digest_of(found: &[Observed]) -> Option<Digest> {
    let first = found.first()?.digest()?;
    let is_same = |one: &Observed| one.digest().as_ref() == Some(&first);
    found.iter().all(is_same).then_some(first)
}

/// One deploy of several, each of which replaces one container of the same service. A local tag is moved once.
///
/// None of none.
pub fn as_one(mut deploys: Vec<Deploy>) -> Option<Deploy> {
    let others = deploys.split_off(1.min(deploys.len()));
    let mut whole = deploys.pop()?;
    for other in others {
        if other.from != whole.from {
            whole.from.digest = None;
        }
        for mut member in other.members {
            let moved = |tag: &str| {
                let mut tags = whole.members.iter().filter_map(|one| one.tag.as_ref());
                tags.any(|known| known.reference == tag)
            };
            member.tag = member.tag.filter(|tag| !moved(&tag.reference));
            whole.members.push(member);
        }
    }
    Some(whole)
}

/// The deploy, which has not begun, of so many containers at a time as the host's file says.
pub fn rolled(deploy: Deploy, rolling: Rolling) -> Deploy {
    // One alone may be replaced with those that share a namespace of it, as one set.
    if deploy.members.len() < 2 || !deploy.companions().is_empty() {
        return deploy;
    }
    let deploy = deploy.rolling(rolling.max_parallel);
    match rolling.on_failure {
        OnFailure::Rollback => deploy,
        OnFailure::Pause => deploy.pausing(),
    }
}

/// One plan of several; see [`as_one`].
pub fn joined(plans: Vec<Plan>) -> Option<Plan> {
    let image = plans.first()?.image.clone();
    let (deploys, create): (Vec<_>, Vec<_>) = plans
        .into_iter()
        .map(|plan| (plan.deploy, plan.create))
        .unzip();
    Some(Plan {
        deploy: as_one(deploys)?,
        create: create.concat(),
        image,
    })
}

/// Names, for people: `web-1, web-2 and web-3`.
pub fn named<'a>(found: impl IntoIterator<Item = &'a Observed>) -> String {
    let mut names: Vec<&str> = found.into_iter().map(Observed::name).collect();
    match names.pop() {
        None => String::new(),
        Some(only) if names.is_empty() => only.to_owned(),
        Some(last) => format!("{} and {last}", names.join(", ")),
    }
}

/// The order of names in which people count: web-2 comes before web-10.
pub(super) fn by_name(one: &str, other: &str) -> Ordering {
    counted(one).cmp(&counted(other)).then(one.cmp(other))
}

/// A name as texts, each with the number behind it.
fn counted(name: &str) -> Vec<(&str, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit());
        let (text, after) = rest.split_at(digits.unwrap_or(rest.len()));
        let end = after.find(|c: char| !c.is_ascii_digit());
        let (number, after) = after.split_at(end.unwrap_or(after.len()));
        parts.push((text, number.parse().unwrap_or_default()));
        rest = after;
    }
    parts
}

/// Whether a container was made from the image of this digest, or from this image.
pub fn has_already(observed: &Observed, digest: &Digest, image: Option<&Value>) -> bool {
    let id = image.and_then(|image| image.get("Id")?.as_str());
    observed.has(digest) || id == Some(observed.image_id())
}
