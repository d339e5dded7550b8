//! The intent that a plan is made for: the kind of event that the service's own rule waits for, of the commit that was named.

use jiff::Timestamp;
use towline_protocol::{
    DeploymentSource, GitTag, Glob, Image, Intent, IntentId, PackageSource, PushSource,
    ReleaseSource, Revision, RunSource, Sha, Source,
};

use crate::settings::{Events, Rule, RunRule, Service};

/// The number of a run that nobody has told; runs are counted from 1.
pub(super) const UNKNOWN_RUN: u64 = 0;

/// What a plan is asked for.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Asked {
    /// The commit.
    pub(in crate::cli) sha: Sha,
    /// The branch, unless it is the rule's first one.
    pub(in crate::cli) branch: Option<String>,
    /// The git tag.
    pub(in crate::cli) tag: Option<GitTag>,
    /// The number of the workflow's run; runs are counted from 1.
    pub(in crate::cli) run_number: Option<u64>,
}

/// The newest intent that could be, for `service` and what was asked.
pub(super) fn intent(service: &Service, asked: &Asked) -> Intent {
    let rule = &service.rule;
    let tag = asked.tag.clone();
    let branch = match &tag {
        Some(_) => asked.branch.clone(),
        None => asked.branch.clone().or_else(|| first_branch(&rule.events)),
    };
    let source = source(rule, tag.as_ref(), asked.run_number);
    let image = if let Source::RegistryPackage(package) = &source {
        service.image.as_ref().map(|image| Image {
            reference: Some(format!("{}:{}", image.name(), package.tag)),
            digest: None,
        })
    } else {
        None
    };
    Intent {
        id: IntentId::of_key("a plan"),
        channel: rule.channel.clone(),
        epoch: u64::MAX,
        seq: 1,
        created_at: Timestamp::now(),
        expires_at: None,
        source,
        revision: Revision {
            sha: Some(asked.sha.clone()),
            branch,
            tag,
        },
        image,
        service: Some(service.name.clone()),
        hosts: Vec::new(),
    }
}

/// What would cause it: with a tag the first kind of event that the rule has tags for, else the first that has branches, else
/// an operator.
fn source(rule: &Rule, tag: Option<&GitTag>, number: Option<u64>) -> Source {
    let events = &rule.events;
    let repository = rule.channel.to_string();
    match tag {
        Some(_) if events.releases.is_some() => Source::Release(ReleaseSource {
            repository_id: 0,
            repository,
            release_id: 0,
            prerelease: false,
            actor: None,
            url: None,
        }),
        Some(_)
            if events
                .pushes
                .as_ref()
                .is_some_and(|push| !push.tags.is_empty()) =>
        {
            push(repository)
        }
        Some(tag) if events.packages.is_some() => Source::RegistryPackage(PackageSource {
            repository_id: 0,
            repository,
            package: String::new(),
            tag: tag.to_string(),
            actor: None,
            url: None,
        }),
        Some(_) | None => of_branch(events, repository, number),
    }
}

fn of_branch(events: &Events, repository: String, number: Option<u64>) -> Source {
    if let Some(rule) = &events.runs {
        return Source::WorkflowRun(run(rule, repository, number.unwrap_or(UNKNOWN_RUN)));
    }
    if events.pushes.is_some() {
        return push(repository);
    }
    match &events.deployments {
        Some(rule) => Source::Deployment(DeploymentSource {
            repository_id: 0,
            repository,
            deployment_id: 0,
            environment: first_literal(&rule.environments).unwrap_or_default(),
            task: "deploy".to_owned(),
            actor: None,
            url: None,
        }),
        None => Source::Manual {
            by: String::new(),
            reason: String::new(),
        },
    }
}

fn push(repository: String) -> Source {
    Source::Push(PushSource {
        repository_id: 0,
        repository,
        actor: None,
        url: None,
    })
}

fn run(rule: &RunRule, repository: String, run_number: u64) -> RunSource {
    let workflow = match rule.workflow.contains('/') {
        true => rule.workflow.clone(),
        false => format!(".github/workflows/{}", rule.workflow),
    };
    RunSource {
        repository_id: 0,
        repository,
        workflow_id: 0,
        workflow,
        run_id: 0,
        run_number,
        run_attempt: 1,
        event: "push".to_owned(),
        actor: None,
        url: None,
    }
}

/// The rule's first branch that is a name and not a pattern.
fn first_branch(events: &Events) -> Option<String> {
    let runs = events.runs.iter().flat_map(|rule| &rule.branches);
    let pushes = events.pushes.iter().flat_map(|rule| &rule.branches);
    let deployments = events.deployments.iter().flat_map(|rule| &rule.branches);
    first_literal(runs.chain(pushes).chain(deployments))
}

fn first_literal<'g>(globs: impl IntoIterator<Item = &'g Glob>) -> Option<String> {
    let mut globs = globs.into_iter();
    let literal = globs.find(|glob| glob.is_literal());
    literal.map(|glob| glob.as_str().to_owned())
}

/// The intent in words.
pub(super) fn words(intent: &Intent) -> String {
    let what = match &intent.source {
        Source::WorkflowRun(run) => format!("a successful run of {}", run.workflow),
        Source::Push(_) => "a push".to_owned(),
        Source::RegistryPackage(_) => "a published image".to_owned(),
        Source::Release(_) => "a release".to_owned(),
        Source::Deployment(asked) => format!("a deployment to {}", asked.environment),
        Source::Manual { .. } | Source::Actions(_) | Source::Unknown => {
            "a manual intent".to_owned()
        }
    };
    let sha = intent.revision.sha.as_ref().map_or("", Sha::short);
    let branch = intent.revision.branch.as_ref();
    let branch = branch.map_or(String::new(), |branch| format!(" of branch {branch}"));
    let tag = intent.revision.tag.as_ref();
    let tag = tag.map_or(String::new(), |tag| format!(" with tag {tag}"));
    format!("commit {sha}{branch}{tag}, as by {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        select::{Match, matches},
        testing::{SHA, service},
    };

    /// What the intent for the service with these lines is, and what the service's rule says to it.
    fn judged(lines: &str, branch: Option<&str>, tag: Option<&str>) -> (String, Match) {
        let service = service(lines);
        let asked = Asked {
            sha: SHA.parse().unwrap(),
            branch: branch.map(str::to_owned),
            tag: tag.map(|tag| tag.parse().unwrap()),
            run_number: None,
        };
        let intent = intent(&service, &asked);
        let judged = matches(&"pi".parse().unwrap(), &service, &intent);
        (words(&intent), judged)
    }

    #[test]
    fn the_rules_own_kind_of_event_and_first_branch_are_assumed() {
        let (words, judged) = judged("", None, None);
        let should = format!(
            "commit {} of branch main, as by a successful run of .github/workflows/ci.yml",
            &SHA[..7]
        );
        assert_eq!((words, judged), (should, Match::Yes));
    }

    #[test]
    fn another_branch_or_a_tag_that_the_rule_is_not_for_is_refused_in_its_words() {
        let (words, refused) = judged("", Some("next"), None);
        assert!(words.contains("of branch next"), "{words}");
        assert!(
            matches!(&refused, Match::Refused(why) if why.contains("the branch is \"next\", and the rule is for main")),
            "{refused:?}"
        );
        let (_, refused) = judged("", None, Some("v2"));
        assert!(
            matches!(&refused, Match::Refused(why) if why.contains("for a tag")),
            "{refused:?}"
        );
    }
}
