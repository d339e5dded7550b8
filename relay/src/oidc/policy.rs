//! Whom the relay lets in by a token of GitHub Actions: `[vars.oidc]`, checked, and its decision.

use towline_protocol::{ActionsSource, Channel, Glob, Source};

use super::{Denied, claims::Claims, shown};
use crate::{
    error::Refusal,
    gate::{Candidate, ONLY_BY_NAME, workflow_path},
    manual::{self, Order},
};

/// The events that a stranger can cause with a fork. Nothing admits them.
pub const NEVER: [&str; 2] = ["pull_request", "pull_request_target"];

/// Where GitHub looks for workflows.
const FOLDER: &str = ".github/workflows/";

/// The longest text that becomes part of an intent, in bytes.
const MAX_TEXT: usize = 255;

/// `[vars.oidc]` and `PUBLIC_URL`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Who signs the tokens.
    pub issuer: String,
    /// Where the issuer's keys are.
    pub jwks_url: String,
    /// Whom the tokens must be for: this relay.
    pub audience: String,
    /// The repositories whose jobs may ask.
    pub repository_ids: Vec<u64>,
    /// The workflows that may. With `@` the one that the job is in, else the one that was started.
    pub workflows: Vec<Glob>,
    /// The refs that they may run for.
    pub refs: Vec<Glob>,
    /// What may have started them.
    pub events: Vec<Glob>,
    /// The channels that they may order for, beside their own repository's.
    pub channels: Vec<Glob>,
}

/// A job that may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    jti: String,
    own: Channel,
    channels: Vec<Glob>,
    source: ActionsSource,
}

impl Policy {
    /// Decides on a job.
    ///
    /// # Errors
    /// [`Denied::Stranger`] for another repository's job, [`Denied::Policy`] for another one of these; both name the
    /// claim that does not match.
    pub fn admit(&self, claims: Claims) -> Result<Job, Denied> {
        let what = |claim: &str, value: &str| {
            let (repository, value) = (shown(&claims.repository), shown(value));
            format!("a job of {repository}: its {claim} is {value}, which oidc does not have")
        };
        let denied = |claim: &str, value: &str| Err(Denied::Policy(what(claim, value)));
        if !self.repository_ids.contains(&claims.repository_id) {
            let id = claims.repository_id.to_string();
            return Err(Denied::Stranger(what("repository_id", &id)));
        }
        let Some(path) = workflow_path(&claims.workflow_ref, &claims.repository) else {
            return denied("workflow_ref", &claims.workflow_ref);
        };
        let job_in = claims
            .job_workflow_ref
            .as_deref()
            .unwrap_or(&claims.workflow_ref);
        if path.len() > MAX_TEXT || !self.has_workflow(path, job_in) {
            return denied("workflow_ref", &claims.workflow_ref);
        }
        if !self.refs.iter().any(|glob| glob.matches(&claims.git_ref)) {
            return denied("ref", &claims.git_ref);
        }
        if !self.has_event(&claims.event_name) {
            return denied("event_name", &claims.event_name);
        }
        let Ok(own) = Channel::of_repository(&claims.repository) else {
            return denied("repository", &claims.repository);
        };
        let workflow = path.to_owned();
        Ok(Job {
            own,
            channels: self.channels.clone(),
            source: source(&claims, workflow),
            jti: claims.jti,
        })
    }

    fn has_workflow(&self, path: &str, job_in: &str) -> bool {
        let file = path.strip_prefix(FOLDER);
        if file.is_none() && !path.contains(&format!("/{FOLDER}")) {
            return false;
        }
        // An entry's `@` is where the ref begins: a file with one in its name is not what it means.
        let plain = workflow_path(job_in, "").is_some_and(|file| !file.contains('@'));
        self.workflows.iter().any(|glob| {
            if glob.as_str().contains('@') {
                plain && glob.matches(job_in)
            } else {
                glob.matches(path) || file.is_some_and(|file| glob.matches(file))
            }
        })
    }

    fn has_event(&self, event: &str) -> bool {
        let named = self.events.iter().any(|glob| glob.as_str() == event);
        let matched = self.events.iter().any(|glob| glob.matches(event));
        !NEVER.contains(&event)
            && event.len() <= MAX_TEXT
            && (named || (matched && !ONLY_BY_NAME.contains(&event)))
    }
}

impl Job {
    /// Demands that the job may order for the channel.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], naming both channels.
    pub fn demand_channel(&self, channel: &Channel) -> Result<(), Refusal> {
        let may = *channel == self.own
            || self
                .channels
                .iter()
                .any(|glob| glob.matches(channel.as_str()));
        if may {
            return Ok(());
        }
        Err(Refusal::Forbidden(format!(
            "this job may order for its repository's channel, {:?}, and not for {:?}",
            self.own.as_str(),
            channel.as_str()
        )))
    }

    /// The intent-to-be of the job's order. A token is spent by it: its `jti` is the key.
    pub fn candidate(self, order: Order) -> Candidate {
        let reason = order.reason.clone();
        let source = ActionsSource {
            reason,
            ..self.source
        };
        let key = format!("actions:{}", self.jti);
        manual::candidate(order, key, Source::Actions(source))
    }
}

fn source(claims: &Claims, workflow: String) -> ActionsSource {
    ActionsSource {
        repository_id: claims.repository_id,
        repository_owner_id: claims.repository_owner_id,
        repository: claims.repository.clone(),
        workflow,
        run_id: claims.run_id,
        run_number: claims.run_number,
        run_attempt: claims.run_attempt,
        event: claims.event_name.clone(),
        actor: claims.actor.clone().filter(|actor| actor.len() <= MAX_TEXT),
        reason: String::new(),
    }
}
