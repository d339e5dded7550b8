//! GitHub's deliveries as types: what the relay reads of each event, no more.
//!
//! Tolerant where GitHub is: what the gate and the intent do not need may be null or missing, and
//! unknown values of growing sets (actions, conclusions, run events) are plain text. Strict where two
//! readings are possible: see [`crate::json`]. Fields follow GitHub's "Webhook events and payloads".
//! Each event has a file of its own; what becomes of it is the gate's.

use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::json;

mod deployment;
mod package;
mod ping;
mod push;
mod release;
mod run;

pub use deployment::{Deployment, DeploymentEvent, DeploymentRun, Payload};
pub use package::{
    ContainerMetadata, Labels, Package, PackageEvent, PackageVersion, Registry, Tag,
};
pub use ping::{Hook, HookConfig, Ping, TextOrNumber};
pub use push::{Commit, PushEvent};
pub use release::{Release, ReleaseEvent};
pub use run::{HeadRepository, Workflow, WorkflowRun, WorkflowRunEvent};

/// A delivery whose body is what its event header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// GitHub tries the hook out.
    Ping(Ping),
    /// A workflow run changed its state.
    WorkflowRun(Box<WorkflowRunEvent>),
    /// Something was pushed, or a branch or tag deleted.
    Push(Box<PushEvent>),
    /// A package was published.
    RegistryPackage(Box<PackageEvent>),
    /// A release changed its state.
    Release(Box<ReleaseEvent>),
    /// Somebody asked GitHub for a deployment.
    Deployment(Box<DeploymentEvent>),
    /// Any other event: the name in the header. Its body is JSON, and was not looked at.
    Other(String),
}

/// Why a body is not the event that it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotThatEvent {
    /// The bytes are not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Broken JSON, deep nesting, or a key twice.
    #[error("the body is not JSON as it should be: {0}")]
    NotJson(String),
    /// JSON of something else.
    #[error("the body is not a {event} event: {problem}")]
    OtherShape {
        /// The event header.
        event: &'static str,
        /// What is missing or wrong.
        problem: String,
    },
}

/// The repository that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Repository {
    /// Stable identity.
    pub id: u64,
    /// `owner/repo`, in any case.
    pub full_name: String,
    /// The branch that a gate without branches means.
    pub default_branch: Option<String>,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Actor {
    /// The account's name.
    pub login: Option<String>,
}

/// Reads `body` as the event that the header `X-GitHub-Event` names.
///
/// # Errors
/// See [`NotThatEvent`]. The header is not signed, so a body under another event's name is refused.
pub fn read(name: &str, body: &[u8]) -> Result<Event, NotThatEvent> {
    let text = std::str::from_utf8(body).map_err(|_| NotThatEvent::NotUtf8)?;
    json::check(text).map_err(|error| NotThatEvent::NotJson(error.to_string()))?;
    match name {
        "ping" => shape("ping", text).map(Event::Ping),
        "workflow_run" => shape("workflow_run", text).map(Event::WorkflowRun),
        "push" => shape("push", text).map(|mut push: Box<PushEvent>| {
            push.body_sha256 = HEXLOWER.encode(&Sha256::digest(body));
            Event::Push(push)
        }),
        "registry_package" => shape("registry_package", text).map(Event::RegistryPackage),
        "release" => shape("release", text).map(Event::Release),
        "deployment" => {
            let event: Box<DeploymentEvent> = shape("deployment", text)?;
            event.check()?;
            Ok(Event::Deployment(event))
        }
        other => Ok(Event::Other(other.to_owned())),
    }
}

fn shape<'de, T: Deserialize<'de>>(event: &'static str, text: &'de str) -> Result<T, NotThatEvent> {
    serde_json::from_str(text).map_err(|error| NotThatEvent::OtherShape {
        event,
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, body: &[u8]) -> NotThatEvent {
        read(name, body).unwrap_err()
    }

    #[test]
    fn broken_doubled_deep_and_non_utf8_bodies_say_what_they_are() {
        assert_eq!(refusal("push", b"{\"a\": \"\xff\"}"), NotThatEvent::NotUtf8);
        for bad in [
            &b"{"[..],
            b"",
            b"{} {}",
            br#"{"a": 1, "a": 2}"#,
            &b"[".repeat(5000),
        ] {
            assert!(matches!(refusal("push", bad), NotThatEvent::NotJson(_)));
        }
    }

    #[test]
    fn another_event_is_read_no_further_than_that_it_is_json() {
        let event = read("issues", br#"{"action": 7}"#).unwrap();
        assert_eq!(event, Event::Other("issues".to_owned()));
    }
}
