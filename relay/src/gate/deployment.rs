//! Whether a deployment that somebody asked GitHub for becomes an intent.

use towline_protocol::{Channel, DeploymentSource, NameError, Revision, Source};

use super::{
    Candidate, Decision, Gate, ONLY_BY_NAME, Reason, SourceKind, bounded, check_action, cut, login,
    shown,
};
use crate::event::{DeploymentEvent, DeploymentRun};

/// Whom GitHub calls the sender of what a job does with the token that it gives to it.
const JOBS: &str = "github-actions[bot]";

impl Gate {
    /// Decides on a `deployment` event.
    ///
    /// # Errors
    /// When the repository's name is not one that GitHub gives: the body is not such an event.
    pub fn deployment(&self, event: &DeploymentEvent) -> Result<Decision, NameError> {
        let channel = Channel::of_repository(&event.repository.full_name)?;
        Ok(self.judge_deployment(event, channel).into())
    }

    fn judge_deployment(
        &self,
        event: &DeploymentEvent,
        channel: Channel,
    ) -> Result<Candidate, Reason> {
        let deployment = &event.deployment;
        self.check_source(SourceKind::Deployment)?;
        check_action(&event.action, SourceKind::Deployment)?;
        if deployment
            .payload
            .as_ref()
            .is_some_and(|payload| payload.is_ours)
        {
            return Err(Reason::Ours);
        }
        self.check_repository(&channel)?;
        match &event.workflow_run {
            Some(run) => self.check_run_behind(run, event.repository.id)?,
            None if is_a_jobs(event) => return Err(Reason::NoRun),
            None => {}
        }
        let revision = self.asked_for(event)?;
        let source = Source::Deployment(DeploymentSource {
            repository_id: event.repository.id,
            repository: event.repository.full_name.clone(),
            deployment_id: deployment.id,
            environment: bounded(&deployment.environment, "the environment")?,
            task: bounded(deployment.task.as_deref().unwrap_or("deploy"), "the task")?,
            actor: login(&event.sender),
            url: shown(&deployment.url),
        });
        let key = format!("deployment:{}:{}", event.repository.id, deployment.id);
        Ok(self.candidate(key, channel, source, revision))
    }

    /// A job with an `environment` creates a deployment of this repository by itself, and calls it by the branch's name
    /// even where the branch is a fork's: it is judged as its run would be.
    fn check_run_behind(&self, run: &DeploymentRun, repository: u64) -> Result<(), Reason> {
        self.check_run_event(&run.event)?;
        match &run.head_repository {
            Some(head) if head.id != repository => Err(Reason::Fork(head.id)),
            None if ONLY_BY_NAME.contains(&run.event.as_str()) => Err(Reason::NoHeadRepository),
            Some(_) | None => Ok(()),
        }
    }

    fn asked_for(&self, event: &DeploymentEvent) -> Result<Revision, Reason> {
        let deployment = &event.deployment;
        let reference = deployment.reference.as_str();
        let sha = Some(deployment.sha.clone());
        if let Some(tag) = reference.strip_prefix("refs/tags/") {
            let tag = Some(self.check_tag(tag)?);
            return Ok(Revision {
                sha,
                branch: None,
                tag,
            });
        }
        let name = reference.strip_prefix("refs/heads/").unwrap_or(reference);
        if name.is_empty() {
            return Err(Reason::Ref(cut(reference)));
        }
        let branch = self.check_branch(name, &event.repository)?;
        // Whoever asks for a commit names no branch.
        let branch = Some(branch).filter(|name| name != deployment.sha.as_str());
        Ok(Revision {
            sha,
            branch,
            tag: None,
        })
    }
}

/// Whether it was asked for with the token that GitHub gives to each job, also to a fork's.
fn is_a_jobs(event: &DeploymentEvent) -> bool {
    let actors = [&event.sender, &event.deployment.creator];
    let logins = actors.into_iter().flatten().map(|actor| &actor.login);
    logins.flatten().any(|login| login == JOBS)
}
