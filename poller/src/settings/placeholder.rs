//! Whether an image's placeholders can be filled by everything that deploys its service.

use super::{Events, PushRule};
use crate::reference::{Placeholder, Template};

/// A placeholder of `image` that something in `events` never fills, with what that is.
pub(super) fn unfilled(image: &Template, events: &Events) -> Option<String> {
    image.placeholders().find_map(|placeholder| {
        let name = placeholder.name();
        let who = without(placeholder, events)?;
        Some(format!(
            "{{{name}}} is never known for {who}, which deploys this service"
        ))
    })
}

/// What in `events` never has a placeholder's value. An image that was published names its own reference.
fn without(placeholder: Placeholder, events: &Events) -> Option<&'static str> {
    let runs = events.runs.is_some();
    let releases = events.releases.is_some();
    let deployments = events.deployments.is_some();
    let of_pushes = |some: fn(&PushRule) -> bool| events.pushes.as_ref().is_some_and(some);
    let branches = of_pushes(|rule| !rule.branches.is_empty());
    let tags = of_pushes(|rule| !rule.tags.is_empty());
    let missing = match placeholder {
        Placeholder::Sha | Placeholder::ShortSha => [None; 4],
        Placeholder::Branch => [
            tags.then_some("the push of a tag"),
            releases.then_some("a release"),
            None,
            None,
        ],
        Placeholder::Tag => [
            runs.then_some("a workflow run"),
            branches.then_some("the push of a branch"),
            deployments.then_some("a deployment"),
            None,
        ],
        Placeholder::RunNumber => [
            tags.then_some("a push"),
            branches.then_some("a push"),
            releases.then_some("a release"),
            deployments.then_some("a deployment"),
        ],
    };
    missing.into_iter().flatten().next()
}
