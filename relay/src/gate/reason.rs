//! Why the gate left an event alone, in words for GitHub's delivery page.

use thiserror::Error;

/// Why an event was left alone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The gate's sources do not have this event.
    #[error("{0} events are not among the gate's sources")]
    Source(String),
    /// The gate admits the event, this version makes nothing of it.
    #[error("this version makes no intents of {0} events")]
    NotYet(String),
    /// The run is not over.
    #[error("the action is {0:?}; only \"completed\" counts")]
    Action(String),
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
    /// The gate's workflows do not have it.
    #[error("workflow {0:?} is not among the gate's workflows")]
    Workflow(String),
    /// The branch is gone or was never there.
    #[error("the run has no head_branch")]
    NoBranch,
    /// The gate names no branch, and GitHub did not say which is the default.
    #[error("the repository has no default branch, and the gate names no branches")]
    NoDefaultBranch,
    /// The gate's branches do not have it.
    #[error("branch or tag {branch:?} is not {wanted}")]
    Branch {
        /// The run's.
        branch: String,
        /// What would have passed.
        wanted: String,
    },
}
