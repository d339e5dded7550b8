//! The `deployment` event: somebody asked GitHub for a deployment, by its API or by a job with an `environment`.

use serde::Deserialize;
use serde_json::Value;
use towline_protocol::Sha;

use super::{Actor, HeadRepository, NotThatEvent, Repository};

/// The member of a deployment's payload that says that Towline itself has made it.
const OUR_MARK: &str = "towline";

/// The `deployment` event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeploymentEvent {
    /// `created`.
    pub action: String,
    /// The repository.
    pub repository: Repository,
    /// The deployment.
    pub deployment: Deployment,
    /// The run whose job has asked for it; none for other callers.
    pub workflow_run: Option<DeploymentRun>,
    /// Who asked for it.
    pub sender: Option<Actor>,
    /// Only the `deployment_status` event has this.
    deployment_status: Option<Status>,
}

/// A deployment's status, of which only its being there counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Status {}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Deployment {
    /// Stable identity.
    pub id: u64,
    /// The commit.
    pub sha: Sha,
    /// What was asked for: a branch, a tag, or the commit itself.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The environment that it is for.
    pub environment: String,
    /// What it asks for, `deploy` by default.
    pub task: Option<String>,
    /// What the caller has added: an object, or text.
    pub payload: Option<Payload>,
    /// Who has created it.
    pub creator: Option<Actor>,
    /// Its address at GitHub's API.
    pub url: Option<String>,
}

/// What a caller has added to a deployment; only whether it is ours is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub struct Payload {
    /// Whether Towline has made it.
    pub is_ours: bool,
}

/// The run whose job has asked for a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeploymentRun {
    /// What started it.
    pub event: String,
    /// The repository that its commit is in: a fork's, for a fork's pull request.
    pub head_repository: Option<HeadRepository>,
}

impl From<Value> for Payload {
    /// GitHub hands a payload back as it was given: an object, or text that may be one.
    fn from(payload: Value) -> Self {
        let text = payload
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        let payload: Value = text.unwrap_or(payload);
        let is_ours = payload.get(OUR_MARK).is_some();
        Self { is_ours }
    }
}

impl DeploymentEvent {
    /// A `deployment_status` body has all that a `deployment` has, and its header is not signed.
    pub(super) fn check(&self) -> Result<(), NotThatEvent> {
        match self.deployment_status {
            None => Ok(()),
            Some(_) => Err(NotThatEvent::OtherShape {
                event: "deployment",
                problem: "it has a deployment_status".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_ours_by_its_mark_however_it_is_written() {
        let is_ours = |json: &str| serde_json::from_str::<Payload>(json).unwrap().is_ours;
        for ours in [
            r#"{"towline": {"intent": "in_x"}}"#,
            r#"{"towline": null}"#,
            r#""{\"towline\": true}""#,
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for theirs in [
            "{}",
            "[]",
            "7",
            r#""""#,
            r#""towline""#,
            r#"{"by": "towline"}"#,
        ] {
            assert!(!is_ours(theirs), "{theirs}");
        }
    }
}
