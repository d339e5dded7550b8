//! The `workflow_run` event: a run of GitHub Actions was requested, began or ended.

use serde::Deserialize;
use towline_protocol::Sha;

use super::{Actor, Repository};

/// The `workflow_run` event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkflowRunEvent {
    /// `requested`, `in_progress`, `completed`, or a word that is not known yet.
    pub action: String,
    /// The repository that the run belongs to.
    pub repository: Repository,
    /// The workflow; GitHub allows null.
    pub workflow: Option<Workflow>,
    /// The run.
    pub workflow_run: WorkflowRun,
}

/// The workflow of a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Workflow {
    /// Where its file is.
    pub path: Option<String>,
}

/// One run of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkflowRun {
    /// Stays the same on a re-run.
    pub id: u64,
    /// The workflow's stable identity.
    pub workflow_id: u64,
    /// Counts the workflow's runs.
    pub run_number: u64,
    /// Counts the tries of this run, from 1.
    pub run_attempt: u64,
    /// What started it.
    pub event: String,
    /// How it ended, if it did. GitHub adds words to this set.
    pub conclusion: Option<String>,
    /// The branch, or for a tag's run the tag. Null when it is gone.
    pub head_branch: Option<String>,
    /// The commit.
    pub head_sha: Sha,
    /// The repository that the commit is in: a fork's, for a fork's pull request.
    pub head_repository: Option<HeadRepository>,
    /// Where the workflow's file is, at times as `owner/repo/PATH@REF`.
    pub path: Option<String>,
    /// Who started it.
    pub actor: Option<Actor>,
    /// The run's page.
    pub html_url: Option<String>,
}

/// The repository that a run's commit is in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HeadRepository {
    /// Stable identity.
    pub id: u64,
}
