//! What two services must not both have: each would take away what the other has brought in place.

use std::{collections::BTreeSet, ops::Range, path::PathBuf};

use towline_protocol::{Channel, MAX_CHANNELS};

use super::{Choice, Compose, Parts, Service, Work, read::Reader};
use crate::compose::project_name;

/// Refuses services that would fight over one thing.
pub(super) fn refuse_shared(services: &[Service], spans: &[Range<usize>], reader: &mut Reader<'_>) {
    for (at, (service, span)) in services.iter().zip(spans).enumerate() {
        for other in services.iter().take(at) {
            if let Some((key, what)) = common(&service.work, &other.work) {
                let key = format!("service.{}.{key}", service.name);
                let message = format!("service {} has the {what} already", other.name);
                reader.tell(span, key, message);
            }
        }
    }
}

/// The key and the words of what both have.
fn common(one: &Work, other: &Work) -> Option<(&'static str, String)> {
    match (one, other) {
        (
            Work::Docker { container, .. },
            Work::Docker {
                container: other, ..
            },
        ) => (container == other).then(|| match container {
            Choice::Name(name) => ("docker.container", format!("container {name:?}")),
            Choice::Label(label) => ("docker.label", format!("label {label}")),
        }),
        (Work::Parts(one), Work::Parts(other)) => {
            let project = || common_project(one, other);
            let backup = || common_backup(one, other);
            common_checkout(one, other).or_else(project).or_else(backup)
        }
        (Work::Docker { .. }, Work::Parts(_)) | (Work::Parts(_), Work::Docker { .. }) => None,
    }
}

fn common_checkout(one: &Parts, other: &Parts) -> Option<(&'static str, String)> {
    let (one, other) = (one.git.as_ref()?, other.git.as_ref()?);
    let path = &one.path;
    (*path == other.path).then(|| ("git.path", format!("checkout {path:?}")))
}

/// One would put the other's data back with its own.
fn common_backup(one: &Parts, other: &Parts) -> Option<(&'static str, String)> {
    let (one, other) = (one.backup.as_ref()?, other.backup.as_ref()?);
    let is_in = |path: &&PathBuf| {
        let mut others = other.paths.iter();
        others.any(|other| path.starts_with(other) || other.starts_with(path))
    };
    let path = one.paths.iter().find(is_in)?;
    Some(("backup.paths", format!("path {path:?}, or a part of it,")))
}

/// One project may be parted between services by `services`. What the file itself calls it is not known here.
fn common_project(one: &Parts, other: &Parts) -> Option<(&'static str, String)> {
    let name = |parts: &Parts| {
        let compose = parts.compose.as_ref()?;
        let of_folder = || parts.compose_file().map(|file| project_name(&file));
        compose.project.clone().or_else(of_folder)
    };
    let is_same = name(one) == name(other);
    let (one, other) = (one.compose.as_ref()?, other.compose.as_ref()?);
    if !is_same {
        return None;
    }
    let all = |compose: &Compose| compose.services.is_empty();
    if all(one) || all(other) {
        return Some((
            "compose",
            "whole Compose project or a part of it".to_owned(),
        ));
    }
    let both = one
        .services
        .iter()
        .find(|name| other.services.contains(name));
    both.map(|name| ("compose.services", format!("Compose service {name:?}")))
}

/// Refuses more channels than one host may listen to.
pub(super) fn refuse_too_many_channels(
    services: &[Service],
    span: &Range<usize>,
    reader: &mut Reader<'_>,
) {
    let channels: BTreeSet<&Channel> = services
        .iter()
        .map(|service| &service.rule.channel)
        .collect();
    if channels.len() > MAX_CHANNELS {
        let found = channels.len();
        reader.tell(
            span,
            "service",
            format!(
                "the services listen to {found} channels; one host may listen to {MAX_CHANNELS}"
            ),
        );
    }
}
