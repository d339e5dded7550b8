//! Whether a service's rule lets an intent in. The host's file is final, whatever the relay says.

use towline_protocol::{Channel, Glob, HostName, Intent, RunSource, Source};

use crate::settings::{RunRule, Service};

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
/// A run that the rule does not name is not for the service, unless the intent asks for the service by name: then
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
    if let (Source::Manual { .. }, false) = (&intent.source, rule.manual) {
        return Match::Refused(format!(
            "{}: manual = false in [service.{}]",
            rule.place, service.name
        ));
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
    let rule = &service.rule;
    match &intent.source {
        Source::WorkflowRun(run) => run_objection(rule.runs.as_ref(), &rule.channel, run, intent),
        Source::Manual { .. } => None,
        Source::Push(_)
        | Source::RegistryPackage(_)
        | Source::Release(_)
        | Source::Deployment(_)
        | Source::Actions(_) => Some("the rule is for workflow runs".to_owned()),
        Source::Unknown => Some("its kind is not known to this version".to_owned()),
    }
}

fn run_objection(
    rule: Option<&RunRule>,
    channel: &Channel,
    run: &RunSource,
    intent: &Intent,
) -> Option<String> {
    let Some(rule) = rule else {
        return Some("it has manual intents only".to_owned());
    };
    if !Channel::of_repository(&run.repository).is_ok_and(|repository| repository == *channel) {
        return Some(format!("the run is of {:?}", run.repository));
    }
    if !is_workflow(&rule.workflow, &run.workflow) {
        return Some(format!(
            "the workflow is {:?}, and the rule is for {:?}",
            run.workflow, rule.workflow
        ));
    }
    // A tag may be called like a branch, and a branch rule is not about tags.
    let branch = intent
        .revision
        .branch
        .as_deref()
        .filter(|_| intent.revision.tag.is_none());
    match branch {
        Some(branch) if rule.branches.iter().any(|glob| glob.matches(branch)) => None,
        Some(branch) => {
            let wanted: Vec<_> = rule.branches.iter().map(Glob::as_str).collect();
            let wanted = wanted.join(", ");
            Some(format!(
                "the branch is {branch:?}, and the rule is for {wanted}"
            ))
        }
        None => Some("the run was for a tag, not for a branch".to_owned()),
    }
}

/// Whether `wanted`, a file name or a whole path, names the workflow at `path`.
fn is_workflow(wanted: &str, path: &str) -> bool {
    let name = path.strip_prefix(".github/workflows/");
    path == wanted || name == Some(wanted)
}
