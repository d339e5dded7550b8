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

    fn check_workflow(&self, event: &WorkflowRunEvent) -> Result<String, Reason> {
        let path = path_of(event)?;
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

/// The run's own path, else that of the workflow object: older GitHub servers send only this. Where both name the
/// same file, the workflow's says where the name ends, because it has no ref behind it.
fn path_of(event: &WorkflowRunEvent) -> Result<&str, Reason> {
    let of_run = event.workflow_run.path.as_deref();
    let of_run = of_run.filter(|path| !path.is_empty());
    let flow = event.workflow.as_ref();
    let of_flow = flow.and_then(|flow| flow.path.as_deref());
    let of_flow = of_flow.filter(|path| !path.is_empty());
    let path = of_run.or(of_flow).ok_or(Reason::NoWorkflow)?;
    let own = without_repository(path, &event.repository.full_name);
    let same = of_flow.filter(|flow| {
        let rest = own.strip_prefix(*flow);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
    });
    let path = same.or_else(|| without_ref(own));
    path.ok_or_else(|| Reason::WorkflowName(cut(own)))
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
/// behind it. Another repository's prefix stays, so that its file is not taken for ours. `None` where it cannot be told
/// which `@` ends the file's name.
pub(crate) fn workflow_path<'a>(path: &'a str, full_name: &str) -> Option<&'a str> {
    without_ref(without_repository(path, full_name))
}

fn without_repository<'a>(path: &'a str, full_name: &str) -> &'a str {
    let own = path
        .split_at_checked(full_name.len())
        .filter(|(prefix, _)| prefix.eq_ignore_ascii_case(full_name))
        .and_then(|(_, rest)| rest.strip_prefix('/'));
    own.unwrap_or(path)
}

/// A file's name ends with `.yml` or `.yaml`, has no `/`, and may have an `@` like the ref behind it: `a.yml@b.yml` is a
/// file, or `a.yml` at the branch `b.yml`, and whoever may name a branch or a file must not choose which.
fn without_ref(path: &str) -> Option<&str> {
    let ends = |mark: &str| -> Vec<usize> {
        let ends = [".yml", ".yaml"].into_iter().flat_map(|extension| {
            let found = path.match_indices(extension);
            found.map(|(at, extension)| at.saturating_add(extension.len()))
        });
        let behind = |end: &usize| path.get(*end..).is_some_and(|rest| rest.starts_with(mark));
        ends.filter(behind).collect()
    };
    if let Some(end) = ends("@refs/").into_iter().min() {
        return path.get(..end);
    }
    let whole = path.ends_with(".yml") || path.ends_with(".yaml");
    match (ends("@").as_slice(), whole) {
        ([], _) => Some(path),
        ([end], false) => path.get(..*end),
        (_, _) => None,
    }
}
