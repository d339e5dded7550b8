//! The intent: an immutable record of what should be deployed.
//!
//! Names, a revision, maybe an image digest. Never a command, a URL to fetch, an environment value or
//! a mount: what a host does with an intent is written in the host's own file.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{Channel, Digest, GitTag, HostName, IntentId, ServiceName, Sha};

/// What should be deployed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Derived from the cause, so that a second arrival is recognised.
    pub id: IntentId,
    /// The stream that it belongs to.
    pub channel: Channel,
    /// The hub's epoch in which it was numbered.
    pub epoch: u64,
    /// Its number on the channel, from 1.
    pub seq: u64,
    /// When the hub committed it.
    pub created_at: Timestamp,
    /// When it is too late to apply it; `None` is never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// What caused it.
    pub source: Source,
    /// The commit that it names.
    pub revision: Revision,
    /// The image that it names, if any.
    #[serde(default)]
    pub image: Option<Image>,
    /// The one service that it is for; `None` is every service whose rule matches.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// The hosts that it is for; empty is every host.
    #[serde(default)]
    pub hosts: Vec<HostName>,
}

/// What caused an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A GitHub workflow run that completed with success.
    WorkflowRun(RunSource),
    /// A push to GitHub.
    Push(PushSource),
    /// A container image that was published at GitHub's registry.
    RegistryPackage(PackageSource),
    /// A release that was published at GitHub.
    Release(ReleaseSource),
    /// A deployment that somebody asked GitHub for.
    Deployment(DeploymentSource),
    /// A job of GitHub Actions, by `POST /v1/intents` and its OIDC token.
    Actions(ActionsSource),
    /// An operator, by `POST /v1/intents`.
    Manual {
        /// The name in the operator's token.
        by: String,
        /// Why, in the operator's words.
        #[serde(default)]
        reason: String,
    },
    /// A kind that this version does not know: a newer relay's. No rule matches it.
    #[serde(other)]
    Unknown,
}

/// The run behind a `workflow_run` intent, as GitHub described it in the signed delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSource {
    /// Stable identity of the repository.
    pub repository_id: u64,
    /// The repository's full name as GitHub writes it.
    pub repository: String,
    /// Stable identity of the workflow.
    pub workflow_id: u64,
    /// The workflow file's path, without `owner/repo/` before it or `@ref` behind it.
    pub workflow: String,
    /// Stays the same on a re-run.
    pub run_id: u64,
    /// Counts the workflow's runs; stays the same on a re-run.
    pub run_number: u64,
    /// Rises with each re-run, from 1.
    pub run_attempt: u64,
    /// What started the run, for instance `push`.
    pub event: String,
    /// Who started it, if GitHub said so.
    #[serde(default)]
    pub actor: Option<String>,
    /// The run's page, for people.
    #[serde(default)]
    pub url: Option<String>,
}

/// The push behind a `push` intent. What was pushed is the intent's revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushSource {
    /// Stable identity of the repository.
    pub repository_id: u64,
    /// The repository's full name as GitHub writes it.
    pub repository: String,
    /// Who pushed, if GitHub said so.
    #[serde(default)]
    pub actor: Option<String>,
    /// The comparison's page, for people.
    #[serde(default)]
    pub url: Option<String>,
}

/// The package behind a `registry_package` intent. Its image is the intent's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSource {
    /// Stable identity of the repository.
    pub repository_id: u64,
    /// The repository's full name as GitHub writes it.
    pub repository: String,
    /// The package's name within its owner's registry.
    pub package: String,
    /// The tag that was published.
    pub tag: String,
    /// Who published it, if GitHub said so.
    #[serde(default)]
    pub actor: Option<String>,
    /// The package's page, for people.
    #[serde(default)]
    pub url: Option<String>,
}

/// The release behind a `release` intent. Its git tag is the revision's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSource {
    /// Stable identity of the repository.
    pub repository_id: u64,
    /// The repository's full name as GitHub writes it.
    pub repository: String,
    /// Stable identity of the release.
    pub release_id: u64,
    /// Whether it is marked as a pre-release.
    #[serde(default)]
    pub prerelease: bool,
    /// Who published it, if GitHub said so.
    #[serde(default)]
    pub actor: Option<String>,
    /// The release's page, for people.
    #[serde(default)]
    pub url: Option<String>,
}

/// The deployment behind a `deployment` intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentSource {
    /// Stable identity of the repository.
    pub repository_id: u64,
    /// The repository's full name as GitHub writes it.
    pub repository: String,
    /// Stable identity of the deployment.
    pub deployment_id: u64,
    /// The environment that it is for.
    pub environment: String,
    /// What it asks for, `deploy` by default.
    pub task: String,
    /// Who asked for it, if GitHub said so.
    #[serde(default)]
    pub actor: Option<String>,
    /// The deployment's address at GitHub's API, for people.
    #[serde(default)]
    pub url: Option<String>,
}

/// The job behind an `actions` intent, as its OIDC token describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionsSource {
    /// Stable identity of the repository.
    pub repository_id: u64,
    /// Stable identity of the repository's owner.
    pub repository_owner_id: u64,
    /// The repository's full name as GitHub writes it.
    pub repository: String,
    /// The workflow file's path, without `owner/repo/` before it or `@ref` behind it.
    pub workflow: String,
    /// The run.
    pub run_id: u64,
    /// Counts the workflow's runs; stays the same on a re-run.
    pub run_number: u64,
    /// Rises with each re-run, from 1.
    pub run_attempt: u64,
    /// What started the run, for instance `workflow_dispatch`.
    pub event: String,
    /// Who started it, if the token said so.
    #[serde(default)]
    pub actor: Option<String>,
    /// Why, in the caller's words.
    #[serde(default)]
    pub reason: String,
}

/// The commit that an intent names. A manual intent may name an image only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The commit.
    #[serde(default)]
    pub sha: Option<Sha>,
    /// The branch that the run was for. Chosen by whoever pushed it: not safe in a shell or a path.
    #[serde(default)]
    pub branch: Option<String>,
    /// The git tag of a run or release.
    #[serde(default)]
    pub tag: Option<GitTag>,
}

/// The image that an intent names; either part may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The reference, for instance `ghcr.io/octo-org/web:v2`.
    #[serde(default)]
    pub reference: Option<String>,
    /// The manifest's digest.
    #[serde(default)]
    pub digest: Option<Digest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{
        "id": "in_aaaaaaaaaaaaaaaaaaaaaaaaaa", "channel": "octo-org/web", "epoch": 1795186000000, "seq": 42,
        "created_at": "2026-11-20T15:00:00Z", "expires_at": null,
        "source": { "kind": "workflow_run", "repository_id": 1296269, "repository": "octo-org/web",
                    "workflow_id": 77, "workflow": ".github/workflows/ci.yml", "run_id": 30433642,
                    "run_number": 163, "run_attempt": 1, "event": "push", "actor": "octocat",
                    "url": "https://github.com/octo-org/web/actions/runs/30433642" },
        "revision": { "sha": "3484a3fb816e0859fd6e1cea078d76385ff50625", "branch": "main", "tag": null },
        "image": null, "service": null, "hosts": []
    }"#;

    #[test]
    fn the_contracts_example_reads_and_writes_back_the_same() {
        let intent: Intent = serde_json::from_str(EXAMPLE).unwrap();
        let written = serde_json::to_value(&intent).unwrap();
        assert_eq!(
            written,
            serde_json::from_str::<serde_json::Value>(EXAMPLE).unwrap()
        );
    }

    #[test]
    fn a_kind_and_fields_of_a_newer_relay_do_not_hide_the_intent() {
        let mut newer: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
        newer["source"] = serde_json::json!({ "kind": "forgejo_run", "anything": [1] });
        newer["more"] = serde_json::json!(true);
        let intent: Intent = serde_json::from_value(newer).unwrap();
        assert_eq!(intent.source, Source::Unknown);
    }
}
