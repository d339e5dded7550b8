//! The gate: whether a verified event becomes an intent.
//!
//! An event passes when every condition holds that is written down here and in its kind's own file; the
//! first that does not is the reason that GitHub's delivery page then shows. Order and sameness are not
//! the gate's: the host orders intents, the hub's dedupe key decides sameness.

use serde::{Deserialize, Serialize};
use towline_protocol::{Channel, GitTag, Glob, HostName, Image, Revision, ServiceName, Source};

use crate::event::{Actor, Repository};

mod deployment;
mod package;
mod push;
mod reason;
mod release;
mod run;

pub use reason::Reason;
pub(crate) use run::workflow_path;

/// The run events that a stranger can cause, or that hide who did. A glob never admits them.
///
/// See "Security hardening for GitHub Actions" for the first two; a run that was started by
/// `workflow_run` looks like the default branch's whatever began the chain. Whoever may write a comment, open an
/// issue, fork, star, or edit an open wiki causes the others, and their runs are the default branch's.
pub(crate) const ONLY_BY_NAME: [&str; 12] = [
    "pull_request",
    "pull_request_target",
    "workflow_run",
    "pull_request_review",
    "pull_request_review_comment",
    "issue_comment",
    "issues",
    "discussion",
    "discussion_comment",
    "fork",
    "watch",
    "gollum",
];

/// The longest branch, workflow path or other name that becomes part of an intent, in bytes. Git itself allows
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

    /// The actions of it that can become intents; a push has none.
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::WorkflowRun => &["completed"],
            Self::Push => &[],
            // A tag that is moved to an image that was there before is an update.
            Self::RegistryPackage => &["published", "updated"],
            Self::Release => &["published"],
            Self::Deployment => &["created"],
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

    /// Whether events of this name and action can become intents; an action that is not told may be any.
    pub fn takes(&self, event: &str, action: Option<&str>) -> bool {
        SourceKind::named(event).is_some_and(|kind| {
            let actions = kind.actions();
            let is_wanted = |action| actions.is_empty() || actions.contains(&action);
            self.sources.contains(&kind) && action.is_none_or(is_wanted)
        })
    }

    /// Why an event that is no source of intents is left alone.
    pub fn ignore(&self, event: &str) -> Reason {
        if event == "package" && self.sources.contains(&SourceKind::RegistryPackage) {
            Reason::Twin
        } else {
            Reason::Source(cut(event))
        }
    }

    fn check_source(&self, kind: SourceKind) -> Result<(), Reason> {
        if self.sources.contains(&kind) {
            Ok(())
        } else {
            Err(Reason::Source(kind.name().to_owned()))
        }
    }

    fn check_repository(&self, channel: &Channel) -> Result<(), Reason> {
        if any_or_empty(&self.repositories, channel.as_str()) {
            Ok(())
        } else {
            Err(Reason::Repository(cut(channel.as_str())))
        }
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

    /// Whether `branch`, which may be a tag that GitHub calls a branch, is the gate's: without a list, the
    /// repository's default branch is.
    fn check_branch(&self, branch: &str, repository: &Repository) -> Result<String, Reason> {
        if !self.branches.is_empty() {
            return self.check_name(branch);
        }
        let default = repository.default_branch.as_deref();
        let default = default.ok_or(Reason::NoDefaultBranch)?;
        if branch == default && branch.len() <= MAX_NAME {
            return Ok(branch.to_owned());
        }
        Err(Reason::Branch {
            branch: cut(branch),
            wanted: format!("the default branch, {:?}", cut(default)),
        })
    }

    /// Whether `tag`, which GitHub calls a tag, is the gate's: without a list only the default branch is.
    fn check_tag(&self, tag: &str) -> Result<GitTag, Reason> {
        if self.branches.is_empty() {
            return Err(Reason::NoTags(cut(tag)));
        }
        git_tag(&self.check_name(tag)?)
    }

    /// Whether the gate's list has a branch or tag of this name.
    fn check_name(&self, name: &str) -> Result<String, Reason> {
        if self.branches.iter().any(|glob| glob.matches(name)) && name.len() <= MAX_NAME {
            return Ok(name.to_owned());
        }
        Err(Reason::Branch {
            branch: cut(name),
            wanted: "among the gate's branches".to_owned(),
        })
    }

    /// An intent for whatever of the channel's matches, on every host.
    fn candidate(
        &self,
        dedupe_key: String,
        channel: Channel,
        source: Source,
        revision: Revision,
    ) -> Candidate {
        Candidate {
            dedupe_key,
            channel,
            expires_in: self.expires_in,
            source,
            revision,
            image: None,
            service: None,
            hosts: Vec::new(),
        }
    }
}

impl From<Result<Candidate, Reason>> for Decision {
    fn from(judged: Result<Candidate, Reason>) -> Self {
        match judged {
            Ok(candidate) => Self::Queue(Box::new(candidate)),
            Err(reason) => Self::Ignore(reason),
        }
    }
}

fn check_action(action: &str, kind: SourceKind) -> Result<(), Reason> {
    let wanted = kind.actions();
    if wanted.contains(&action) {
        return Ok(());
    }
    let wanted: Vec<_> = wanted.iter().map(|word| format!("{word:?}")).collect();
    Err(Reason::Action {
        action: cut(action),
        wanted: wanted.join(" or "),
    })
}

/// `text`, which becomes part of an intent as `what`.
fn bounded(text: &str, what: &'static str) -> Result<String, Reason> {
    if text.len() <= MAX_NAME {
        Ok(text.to_owned())
    } else {
        Err(Reason::TooLong(what))
    }
}

/// A git tag that a template may hold.
fn git_tag(name: &str) -> Result<GitTag, Reason> {
    name.parse().map_err(|_| Reason::Tag(cut(name)))
}

fn any_or_empty(globs: &[Glob], text: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob.matches(text))
}

/// Text for people, unless it is too long to be that.
fn shown(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| text.len() <= MAX_SHOWN)
}

fn login(actor: &Option<Actor>) -> Option<String> {
    actor.as_ref().and_then(|actor| shown(&actor.login))
}

/// Enough of a name to recognise it by.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
