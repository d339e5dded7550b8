//! What may deploy a service, in words.

use towline_protocol::{Channel, Glob};

use crate::settings::{Events, PackageRule, PushRule, ReleaseRule, RunRule};

/// What of the repository `channel` deploys a service.
pub(super) fn about_events(events: &Events, channel: &Channel) -> Vec<String> {
    let names = |globs: &[Glob]| -> String {
        let names: Vec<_> = globs.iter().map(Glob::as_str).collect();
        names.join(", ")
    };
    let runs = events.runs.iter().map(|RunRule { workflow, branches }| {
        let branches = names(branches);
        format!("successful runs of {workflow} in {channel} on {branches}")
    });
    let pushes = events.pushes.iter().map(|PushRule { branches, tags }| {
        let what = match (names(branches), names(tags)) {
            (branches, tags) if tags.is_empty() => branches,
            (branches, tags) if branches.is_empty() => format!("tags {tags}"),
            (branches, tags) => format!("{branches} and tags {tags}"),
        };
        format!("pushes to {channel} of {what}")
    });
    let packages = events.packages.iter().map(|PackageRule { tags }| {
        let tags = names(tags);
        format!("its image that {channel} publishes with tag {tags}")
    });
    let releases = events
        .releases
        .iter()
        .map(|ReleaseRule { tags, prerelease }| {
            let what = if *prerelease {
                "releases and pre-releases"
            } else {
                "releases"
            };
            let tags = match names(tags) {
                any if any.is_empty() => String::new(),
                tags => format!(" with tag {tags}"),
            };
            format!("{what} of {channel}{tags}")
        });
    let deployments = events.deployments.iter().map(|rule| {
        let branches = match names(&rule.branches) {
            any if any.is_empty() => String::new(),
            branches => format!(" of {branches}"),
        };
        let environments = names(&rule.environments);
        format!("deployments of {channel} to {environments}{branches}")
    });
    runs.chain(pushes)
        .chain(packages)
        .chain(releases)
        .chain(deployments)
        .collect()
}
