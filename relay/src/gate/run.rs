//! Whether a workflow run becomes an intent.

use towline_protocol::{Channel, NameError, Revision, RunSource, Source};

use super::{
    Candidate, Decision, Gate, MAX_NAME, Reason, SourceKind, any_or_empty, check_action, cut,
    login, shown,
};
use crate::event::{WorkflowRun, WorkflowRunEvent};

impl Gate {
    /// Decides on a `workflow_run` event.
    ///
    /// # Errors
    /// When the repository's name is not one that GitHub gives: the body is not such an event.
    pub fn run(&self, event: &WorkflowRunEvent) -> Result<Decision, NameError> {
        let channel = Channel::of_repository(&event.repository.full_name)?;
        Ok(self.judge_run(event, channel).into())
    }

    fn judge_run(&self, event: &WorkflowRunEvent, channel: Channel) -> Result<Candidate, Reason> {
        let run = &event.workflow_run;
        self.check_source(SourceKind::WorkflowRun)?;
        check_action(&event.action, SourceKind::WorkflowRun)?;
        match run.conclusion.as_deref() {
            Some("success") => {}
            Some(other) => return Err(Reason::Conclusion(format!("{:?}", cut(other)))),
            None => return Err(Reason::Conclusion("null".to_owned())),
        }
        self.check_repository(&channel)?;
        match &run.head_repository {
            None => return Err(Reason::NoHeadRepository),
            Some(head) if head.id != event.repository.id => return Err(Reason::Fork(head.id)),
            Some(_) => {}
        }
        self.check_run_event(&run.event)?;
        let workflow = self.check_workflow(event)?;
        let branch = run.head_branch.as_deref().filter(|name| !name.is_empty());
        let branch = self.check_branch(branch.ok_or(Reason::NoBranch)?, &event.repository)?;
        // GitHub does not say whether head_branch is a branch or a tag, so it is never called a tag.
        let revision = Revision {
            sha: Some(run.head_sha.clone()),
            branch: Some(branch),
            tag: None,
        };
        let key = format!("run:{}:{}:{}", event.repository.id, run.id, run.run_attempt);
        Ok(self.candidate(key, channel, source(event, run, workflow), revision))
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
}

fn source(event: &WorkflowRunEvent, run: &WorkflowRun, workflow: String) -> Source {
    Source::WorkflowRun(RunSource {
        repository_id: event.repository.id,
        repository: event.repository.full_name.clone(),
        workflow_id: run.workflow_id,
        workflow,
        run_id: run.id,
        run_number: run.run_number,
        run_attempt: run.run_attempt,
        event: run.event.clone(),
        actor: login(&run.actor),
        url: shown(&run.html_url),
    })
}

/// The path of a workflow's file within its own repository: without `owner/repo/` before it or `@ref`
/// behind it. Another repository's prefix stays, so that its file is not taken for ours.
pub(crate) fn workflow_path<'a>(path: &'a str, full_name: &str) -> &'a str {
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
