//! The gate: whether a verified event becomes an intent.
//!
//! A run passes when every condition holds that is written down here; the first that does not is the
//! reason that GitHub's delivery page then shows. The order of runs and sameness are not the gate's:
//! the host orders runs, the hub's dedupe key decides sameness.

use serde::{Deserialize, Serialize};
use towline_protocol::{Channel, Glob, HostName, Image, Revision, RunSource, ServiceName, Source};

use crate::event::{Repository, WorkflowRun, WorkflowRunEvent};

mod reason;

pub use reason::Reason;

/// The run events that a stranger can cause, or that hide who did. A glob never admits them.
///
/// See "Security hardening for GitHub Actions" for the first two; a run that was started by
/// `workflow_run` looks like the default branch's whatever began the chain.
const ONLY_BY_NAME: [&str; 3] = ["pull_request", "pull_request_target", "workflow_run"];

/// The longest branch or workflow path that becomes part of an intent, in bytes. Git itself allows
/// about 250.
const MAX_NAME: usize = 255;

/// The longest text that is only shown to people, in bytes; a longer one is left out.
const MAX_SHOWN: usize = 512;

/// `[vars.gate]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    sources: Vec<SourceKind>,
    repositories: Vec<Glob>,
    workflows: Vec<Glob>,
    branches: Vec<Glob>,
    run_events: Vec<Glob>,
    expires_in: Option<u32>,
}

/// A kind of event that can be a source of intents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A workflow run.
    WorkflowRun,
    /// A push.
    Push,
    /// A published package.
    RegistryPackage,
    /// A release.
    Release,
    /// A deployment that somebody asked GitHub for.
    Deployment,
}

/// What the gate decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Make an intent of it.
    Queue(Box<Candidate>),
    /// Leave it, and say why.
    Ignore(Reason),
}

/// An intent before the hub has numbered it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// What makes two causes the same; the intent's id is derived from it.
    pub dedupe_key: String,
    /// The stream that it belongs to.
    pub channel: Channel,
    /// How many seconds after its creation it is too late.
    pub expires_in: Option<u32>,
    /// What caused it.
    pub source: Source,
    /// The commit that it names.
    pub revision: Revision,
    /// The image that it names, if any.
    pub image: Option<Image>,
    /// The one service that it is for; `None` is every service whose rule matches.
    pub service: Option<ServiceName>,
    /// The hosts that it is for; empty is every host.
    pub hosts: Vec<HostName>,
}

impl SourceKind {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 5] = [
        Self::WorkflowRun,
        Self::Push,
        Self::RegistryPackage,
        Self::Release,
        Self::Deployment,
    ];

    /// GitHub's name for the event.
    pub fn name(self) -> &'static str {
        match self {
            Self::WorkflowRun => "workflow_run",
            Self::Push => "push",
            Self::RegistryPackage => "registry_package",
            Self::Release => "release",
            Self::Deployment => "deployment",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Gate {
    /// Puts a gate together; an empty list means the contract's default for it, `expires_in` is in seconds.
    pub fn new(
        mut sources: Vec<SourceKind>,
        repositories: Vec<Glob>,
        workflows: Vec<Glob>,
        branches: Vec<Glob>,
        mut run_events: Vec<Glob>,
        expires_in: Option<u32>,
    ) -> Self {
        if sources.is_empty() {
            sources.push(SourceKind::WorkflowRun);
        }
        if run_events.is_empty() {
            run_events.push(Glob::new("push"));
        }
        // GitHub compares the names of owners and repositories without case.
        let lower = |glob: &Glob| Glob::new(glob.as_str().to_ascii_lowercase());
        Self {
            sources,
            repositories: repositories.iter().map(lower).collect(),
            workflows,
            branches,
            run_events,
            expires_in,
        }
    }

    /// Why an event that this version makes no intents of is left alone.
    pub fn ignore(&self, event: &str) -> Reason {
        let admitted = self.sources.iter().any(|kind| kind.name() == event);
        let event = cut(event);
        if admitted {
            Reason::NotYet(event)
        } else {
            Reason::Source(event)
        }
    }

    /// Decides on a `workflow_run` event.
    ///
    /// # Errors
    /// When the repository's name is not one that GitHub gives: the body is not such an event.
    pub fn decide(
        &self,
        event: &WorkflowRunEvent,
    ) -> Result<Decision, towline_protocol::NameError> {
        let channel = Channel::of_repository(&event.repository.full_name)?;
        Ok(match self.check(event, &channel) {
            Ok(passed) => Decision::Queue(Box::new(self.candidate(event, channel, passed))),
            Err(reason) => Decision::Ignore(reason),
        })
    }

    fn check(&self, event: &WorkflowRunEvent, channel: &Channel) -> Result<Passed, Reason> {
        let run = &event.workflow_run;
        if !self.sources.contains(&SourceKind::WorkflowRun) {
            return Err(Reason::Source("workflow_run".to_owned()));
        }
        if event.action != "completed" {
            return Err(Reason::Action(cut(&event.action)));
        }
        match run.conclusion.as_deref() {
            Some("success") => {}
            Some(other) => return Err(Reason::Conclusion(format!("{:?}", cut(other)))),
            None => return Err(Reason::Conclusion("null".to_owned())),
        }
        if !any_or_empty(&self.repositories, channel.as_str()) {
            return Err(Reason::Repository(cut(channel.as_str())));
        }
        match &run.head_repository {
            None => return Err(Reason::NoHeadRepository),
            Some(head) if head.id != event.repository.id => return Err(Reason::Fork(head.id)),
            Some(_) => {}
        }
        self.check_run_event(&run.event)?;
        Ok(Passed {
            workflow: self.check_workflow(event)?,
            branch: self.check_branch(run, &event.repository)?,
        })
    }

    fn check_run_event(&self, event: &str) -> Result<(), Reason> {
        let named = self.run_events.iter().any(|glob| glob.as_str() == event);
        let matched = self.run_events.iter().any(|glob| glob.matches(event));
        match (named, matched, ONLY_BY_NAME.contains(&event)) {
            (true, _, _) | (false, true, false) => Ok(()),
            (false, true, true) => Err(Reason::RunEventByName(cut(event))),
            (false, false, _) => Err(Reason::RunEvent(cut(event))),
        }
    }

    /// The run's own path, else that of the workflow object: older GitHub servers send only this.
    fn check_workflow(&self, event: &WorkflowRunEvent) -> Result<String, Reason> {
        let of_workflow = event
            .workflow
            .as_ref()
            .and_then(|flow| flow.path.as_deref());
        let path = event.workflow_run.path.as_deref().or(of_workflow);
        let path = path.map(|path| workflow_path(path, &event.repository.full_name));
        let path = path.filter(|path| !path.is_empty());
        let path = path.ok_or(Reason::NoWorkflow)?;
        let file = path.strip_prefix(".github/workflows/");
        let admitted = any_or_empty(&self.workflows, path)
            || file.is_some_and(|file| any_or_empty(&self.workflows, file));
        if admitted && path.len() <= MAX_NAME {
            Ok(path.to_owned())
        } else {
            Err(Reason::Workflow(cut(path)))
        }
    }

    fn check_branch(&self, run: &WorkflowRun, repository: &Repository) -> Result<String, Reason> {
        let branch = run.head_branch.as_deref().filter(|name| !name.is_empty());
        let branch = branch.ok_or(Reason::NoBranch)?;
        let (admitted, wanted) = if self.branches.is_empty() {
            let default = repository.default_branch.as_deref();
            let default = default.ok_or(Reason::NoDefaultBranch)?;
            let wanted = format!("the default branch, {:?}", cut(default));
            (branch == default, wanted)
        } else {
            let admitted = self.branches.iter().any(|glob| glob.matches(branch));
            (admitted, "among the gate's branches".to_owned())
        };
        if admitted && branch.len() <= MAX_NAME {
            return Ok(branch.to_owned());
        }
        let branch = cut(branch);
        Err(Reason::Branch { branch, wanted })
    }

    fn candidate(&self, event: &WorkflowRunEvent, channel: Channel, passed: Passed) -> Candidate {
        let run = &event.workflow_run;
        let shown = |text: &Option<String>| text.clone().filter(|text| text.len() <= MAX_SHOWN);
        let actor = run.actor.as_ref().and_then(|actor| shown(&actor.login));
        Candidate {
            dedupe_key: format!("run:{}:{}:{}", event.repository.id, run.id, run.run_attempt),
            channel,
            expires_in: self.expires_in,
            source: Source::WorkflowRun(RunSource {
                repository_id: event.repository.id,
                repository: event.repository.full_name.clone(),
                workflow_id: run.workflow_id,
                workflow: passed.workflow,
                run_id: run.id,
                run_number: run.run_number,
                run_attempt: run.run_attempt,
                event: run.event.clone(),
                actor,
                url: shown(&run.html_url),
            }),
            // GitHub does not say whether head_branch is a branch or a tag, so it is never called a tag.
            revision: Revision {
                sha: Some(run.head_sha.clone()),
                branch: Some(passed.branch),
                tag: None,
            },
            image: None,
            service: None,
            hosts: Vec::new(),
        }
    }
}

/// What the gate had to work out on the way.
struct Passed {
    workflow: String,
    branch: String,
}

/// The path of a workflow's file within its own repository: without `owner/repo/` before it or `@ref`
/// behind it. Another repository's prefix stays, so that its file is not taken for ours.
fn workflow_path<'a>(path: &'a str, full_name: &str) -> &'a str {
    let own = path
        .split_at_checked(full_name.len())
        .filter(|(prefix, _)| prefix.eq_ignore_ascii_case(full_name))
        .and_then(|(_, rest)| rest.strip_prefix('/'));
    let path = own.unwrap_or(path);
    // A ref may hold any of `@`, `/` and `.`, a file's name ends with its extension.
    let end = [".yml@", ".yaml@"]
        .iter()
        .filter_map(|mark| {
            Some(
                path.find(mark)?
                    .saturating_add(mark.len())
                    .saturating_sub(1),
            )
        })
        .min();
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

fn any_or_empty(globs: &[Glob], text: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob.matches(text))
}

/// Enough of a name to recognise it by.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
