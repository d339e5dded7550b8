//! Whether a service's rule lets an intent in. The host's file is final, whatever the relay says.

use towline_protocol::{
    Channel, DeploymentSource, Glob, HostName, Intent, PackageSource, ReleaseSource, RunSource,
    Source,
};

use crate::{
    reference::{Reference, Template},
    settings::{DeploymentRule, PackageRule, PushRule, ReleaseRule, Rule, RunRule, Service},
};

/// What a service's rule says to an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// It may deploy the service.
    Yes,
    /// It is not for this service.
    No,
    /// It is for this service and may not deploy it; why, and which line says so.
    Refused(String),
}

/// Whether `intent` may deploy `service` on `host`.
///
/// An event that the rule does not name is not for the service, unless the intent asks for the service by name: then
/// it is refused, so that whoever asked is told.
pub fn matches(host: &HostName, service: &Service, intent: &Intent) -> Match {
    let rule = &service.rule;
    let elsewhere = !intent.hosts.is_empty() && !intent.hosts.contains(host);
    let other_service = intent
        .service
        .as_ref()
        .is_some_and(|name| *name != service.name);
    if intent.channel != rule.channel || elsewhere || other_service {
        return Match::No;
    }
    let asked_for = matches!(intent.source, Source::Manual { .. } | Source::Actions(_));
    if asked_for && !rule.manual {
        return Match::Refused(format!(
            "{}: manual = false in [service.{}]",
            rule.place, service.name
        ));
    }
    if asked_for && let Some(why) = other_image(service, intent) {
        return Match::Refused(format!("{}: [service.{}]: {why}", rule.place, service.name));
    }
    match objection(service, intent) {
        None => Match::Yes,
        Some(why) if intent.service.is_some() => Match::Refused(format!(
            "{}: the rule of [service.{}] does not allow it: {why}",
            rule.place, service.name
        )),
        Some(_) => Match::No,
    }
}

/// What a service's rule has against an intent of its own channel; `None` when nothing. People look for this when a
/// deploy that they wait for does not come.
pub fn objection(service: &Service, intent: &Intent) -> Option<String> {
    check(service, intent).err()
}

fn check(service: &Service, intent: &Intent) -> Result<(), String> {
    let events = &service.rule.events;
    let revision = &intent.revision;
    let tag = revision.tag.as_ref().map(|tag| tag.as_str());
    // A tag may be called like a branch, and a branch rule is not about tags.
    let branch = revision.branch.as_deref().filter(|_| tag.is_none());
    let rule = &service.rule;
    match &intent.source {
        Source::WorkflowRun(run) => {
            let its = counting(rule, &events.runs, "workflow runs")?;
            of_repository(&rule.channel, "run", &run.repository)?;
            check_run(its, run, branch)
        }
        Source::Push(push) => {
            let its = counting(rule, &events.pushes, "pushes")?;
            of_repository(&rule.channel, "push", &push.repository)?;
            check_push(its, branch, tag)
        }
        Source::RegistryPackage(package) => {
            let its = counting(rule, &events.packages, "published images")?;
            of_repository(&rule.channel, "image", &package.repository)?;
            check_package(its, package, service, intent)
        }
        Source::Release(release) => {
            let its = counting(rule, &events.releases, "releases")?;
            of_repository(&rule.channel, "release", &release.repository)?;
            check_release(its, release, tag)
        }
        Source::Deployment(asked) => {
            let its = counting(rule, &events.deployments, "deployments")?;
            of_repository(&rule.channel, "deployment", &asked.repository)?;
            check_deployment(its, asked, branch)
        }
        Source::Manual { .. } | Source::Actions(_) => Ok(()),
        Source::Unknown => Err("its kind is not known to this version".to_owned()),
    }
}

/// What the rule says of a kind of event, if it is for it.
fn counting<'r, T>(rule: &Rule, its: &'r Option<T>, what: &str) -> Result<&'r T, String> {
    its.as_ref().ok_or_else(|| {
        if rule.events.is_empty() {
            "it has manual intents only".to_owned()
        } else {
            format!("the rule is not for {what}")
        }
    })
}

fn check_push(rule: &PushRule, branch: Option<&str>, tag: Option<&str>) -> Result<(), String> {
    match (branch, tag) {
        (Some(branch), _) => among(&rule.branches, "branch", branch),
        (None, Some(tag)) => among(&rule.tags, "tag", tag),
        (None, None) => Err("the push was of neither a branch nor a tag".to_owned()),
    }
}

fn check_release(
    rule: &ReleaseRule,
    release: &ReleaseSource,
    tag: Option<&str>,
) -> Result<(), String> {
    if release.prerelease && !rule.prerelease {
        return Err("it is a pre-release, and the rule has no `prerelease = true`".to_owned());
    }
    let tag = tag.ok_or("the release has no tag")?;
    if rule.tags.is_empty() {
        Ok(())
    } else {
        among(&rule.tags, "tag", tag)
    }
}

fn check_deployment(
    rule: &DeploymentRule,
    asked: &DeploymentSource,
    branch: Option<&str>,
) -> Result<(), String> {
    among(&rule.environments, "environment", &asked.environment)?;
    match branch {
        _ if rule.branches.is_empty() => Ok(()),
        Some(branch) => among(&rule.branches, "branch", branch),
        None => Err("the deployment is of no branch".to_owned()),
    }
}

fn check_run(rule: &RunRule, run: &RunSource, branch: Option<&str>) -> Result<(), String> {
    if !is_workflow(&rule.workflow, &run.workflow) {
        return Err(format!(
            "the workflow is {:?}, and the rule is for {:?}",
            run.workflow, rule.workflow
        ));
    }
    let branch = branch.ok_or("the run was for a tag, not for a branch")?;
    among(&rule.branches, "branch", branch)
}

/// A repository may publish several images, and only the service's own is for it: another one would be in its way.
fn check_package(
    rule: &PackageRule,
    package: &PackageSource,
    service: &Service,
    intent: &Intent,
) -> Result<(), String> {
    let image = intent.image.as_ref();
    let reference = image.and_then(|image| image.reference.as_deref());
    let own = service.image.as_ref().map(Template::name);
    own_image(reference.unwrap_or_default(), &own.unwrap_or_default())?;
    if image.is_none_or(|image| image.digest.is_none()) {
        return Err("the image has no digest".to_owned());
    }
    among(&rule.tags, "tag", &package.tag)
}

/// What an order's image has against it, so that it is not in the way of what waits for the service's own. Where the file names
/// none it is the container's, which is not known here: `plan` looks at that.
fn other_image(service: &Service, intent: &Intent) -> Option<String> {
    let own = service.image.as_ref()?.name();
    let reference = intent.image.as_ref()?.reference.as_deref()?;
    own_image(reference, &own).err()
}

fn own_image(reference: &str, own: &str) -> Result<(), String> {
    let named = reference.parse::<Reference>().ok();
    if named.is_some_and(|named| named.name() == own) {
        return Ok(());
    }
    Err(format!(
        "the image is {reference:?}, and the service's is {own}"
    ))
}

fn of_repository(channel: &Channel, what: &str, repository: &str) -> Result<(), String> {
    if Channel::of_repository(repository).is_ok_and(|repository| repository == *channel) {
        Ok(())
    } else {
        Err(format!("the {what} is of {repository:?}"))
    }
}

fn among(globs: &[Glob], what: &str, name: &str) -> Result<(), String> {
    if globs.iter().any(|glob| glob.matches(name)) {
        return Ok(());
    }
    let wanted: Vec<_> = globs.iter().map(Glob::as_str).collect();
    let wanted = match wanted.join(", ") {
        none if none.is_empty() => format!("no {what}"),
        some => some,
    };
    Err(format!(
        "the {what} is {name:?}, and the rule is for {wanted}"
    ))
}

/// Whether `wanted`, a file name or a whole path, names the workflow at `path`.
fn is_workflow(wanted: &str, path: &str) -> bool {
    let name = path.strip_prefix(".github/workflows/");
    path == wanted || name == Some(wanted)
}
