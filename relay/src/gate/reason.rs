//! Why the gate left an event alone, in words for GitHub's delivery page.

use thiserror::Error;

use super::MAX_NAME;

/// Why an event was left alone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The gate's sources do not have this event.
    #[error("{0} events are not among the gate's sources")]
    Source(String),
    /// The newer event beside `registry_package`, which says the same.
    #[error(
        "package events are not read; let the hook send registry_package (\"Registry packages\") too"
    )]
    Twin,
    /// Something else happened to what the event is about.
    #[error("the action is {action:?}; only {wanted} counts")]
    Action {
        /// The event's.
        action: String,
        /// What would have passed.
        wanted: String,
    },
    /// The run did not succeed.
    #[error("the conclusion is {0}; only \"success\" counts")]
    Conclusion(String),
    /// The gate's repositories do not have it.
    #[error("repository {0:?} is not among the gate's repositories")]
    Repository(String),
    /// GitHub did not say where the commit is.
    #[error(
        "the run has no head_repository, so that a fork's run cannot be told from this repository's"
    )]
    NoHeadRepository,
    /// The commit is a fork's.
    #[error("the run's commit is in another repository, {0}: a fork")]
    Fork(u64),
    /// The gate does not admit what started the run.
    #[error("the run was started by {0:?}, which is not among the gate's run_events")]
    RunEvent(String),
    /// A risky run event that only a glob matches.
    #[error("the run was started by {0:?}, which the gate's run_events must name in full")]
    RunEventByName(String),
    /// GitHub did not say which workflow it was.
    #[error("the run has no workflow path")]
    NoWorkflow,
    /// The workflow's file and its ref cannot be told apart.
    #[error(
        "workflow {0:?} can be read as several files, because of its @; use names of files and branches without"
    )]
    WorkflowName(String),
    /// Somebody's job has asked for the deployment, and GitHub did not say which run it was of.
    #[error(
        "a job has created the deployment, and GitHub does not say of which run, so that a fork's cannot be told"
    )]
    NoRun,
    /// The gate's workflows do not have it.
    #[error("workflow {0:?} is not among the gate's workflows")]
    Workflow(String),
    /// The branch is gone or was never there.
    #[error("the run has no head_branch")]
    NoBranch,
    /// The gate names no branch, and GitHub did not say which is the default.
    #[error("the repository has no default branch, and the gate names no branches")]
    NoDefaultBranch,
    /// The ref was deleted, so that there is nothing to deploy.
    #[error("{0:?} was deleted")]
    Deleted(String),
    /// The ref is of another kind, for instance `refs/notes/commits`.
    #[error("{0:?} is neither a branch nor a tag")]
    Ref(String),
    /// The gate names no branches, and the default one is no tag.
    #[error("{0:?} is a tag; without branches in the gate only the default branch counts")]
    NoTags(String),
    /// A tag that no template can hold.
    #[error("tag {0:?} cannot be used: use [A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}")]
    Tag(String),
    /// A package of another kind.
    #[error("the package is of type {0:?}, and only container images count")]
    PackageType(String),
    /// A manifest without a tag, as each platform of an image has one.
    #[error("the package version has no tag: it is one of several manifests of an image")]
    NoTag,
    /// GitHub did not say which manifest it was.
    #[error("the package version is {0:?}, which is no digest")]
    NoDigest(String),
    /// No name of an image could be made of what GitHub sent.
    #[error("the package {0:?} gives no image reference")]
    NoReference(String),
    /// The package is linked to no repository, so that it has no channel.
    #[error("the package is linked to no repository; connect it in the package's settings")]
    NoRepository,
    /// The release is not published.
    #[error("the release is a draft")]
    Draft,
    /// Towline has made the deployment to tell GitHub of one.
    #[error("the deployment was created by Towline itself")]
    Ours,
    /// Something that is part of the intent is absurdly long.
    #[error("{0} is longer than {MAX_NAME} bytes")]
    TooLong(&'static str),
    /// The gate's branches do not have it.
    #[error("branch or tag {branch:?} is not {wanted}")]
    Branch {
        /// The run's.
        branch: String,
        /// What would have passed.
        wanted: String,
    },
}
