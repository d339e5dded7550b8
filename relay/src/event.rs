//! GitHub's deliveries as types: what the relay reads of `workflow_run` and `ping`, no more.
//!
//! Tolerant where GitHub is: what the gate and the intent do not need may be null or missing, and
//! unknown values of growing sets (actions, conclusions, run events) are plain text. Strict where two
//! readings are possible: see [`crate::json`]. Fields follow GitHub's "Webhook events and payloads".

use serde::Deserialize;
use thiserror::Error;
use towline_protocol::Sha;

use crate::json;

/// A delivery whose body is what its event header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// GitHub tries the hook out.
    Ping(Ping),
    /// A workflow run changed its state.
    WorkflowRun(Box<WorkflowRunEvent>),
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

/// The `ping` event, sent when a hook is made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ping {
    /// A sentence of GitHub's; only its being there counts.
    pub zen: String,
    /// The hook's id.
    pub hook_id: u64,
    /// The hook as it is set up.
    pub hook: Option<Hook>,
}

/// A hook as it is set up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hook {
    /// How it sends them.
    pub config: Option<HookConfig>,
}

/// How a hook sends its deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HookConfig {
    /// Anything but `"0"` leaves the relay's certificate unchecked.
    pub insecure_ssl: Option<TextOrNumber>,
}

/// GitHub writes some settings as either.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TextOrNumber {
    /// As text.
    Text(String),
    /// As a number.
    Number(u64),
}

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

/// The repository that a run belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Repository {
    /// Stable identity.
    pub id: u64,
    /// `owner/repo`, in any case.
    pub full_name: String,
    /// The branch that a gate without branches means.
    pub default_branch: Option<String>,
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

/// Who started a run.
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
        other => Ok(Event::Other(other.to_owned())),
    }
}

fn shape<'de, T: Deserialize<'de>>(event: &'static str, text: &'de str) -> Result<T, NotThatEvent> {
    serde_json::from_str(text).map_err(|error| NotThatEvent::OtherShape {
        event,
        problem: error.to_string(),
    })
}

impl Ping {
    /// What in the hook's settings deserves a second look, if anything.
    pub fn warning(&self) -> Option<&'static str> {
        let config = self.hook.as_ref()?.config.as_ref()?;
        let off = config
            .insecure_ssl
            .as_ref()
            .is_some_and(|flag| !flag.is_zero());
        off.then_some("the hook does not verify this relay's certificate: enable SSL verification")
    }
}

impl TextOrNumber {
    fn is_zero(&self) -> bool {
        match self {
            Self::Text(text) => text == "0",
            Self::Number(number) => *number == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, body: &[u8]) -> NotThatEvent {
        read(name, body).unwrap_err()
    }

    #[test]
    fn a_ping_is_known_by_what_only_a_ping_has() {
        let ping = br#"{"zen": "Keep it logically awesome.", "hook_id": 1, "hook": null}"#;
        let Event::Ping(ping) = read("ping", ping).unwrap() else {
            panic!("a ping");
        };
        assert_eq!(ping.warning(), None);
        let shape = refusal("ping", br#"{"action": "completed"}"#);
        assert!(
            shape
                .to_string()
                .contains("not a ping event: missing field `zen`")
        );
    }

    #[test]
    fn a_hook_that_skips_the_certificate_is_warned_of() {
        for (flag, warns) in [("\"0\"", false), ("\"1\"", true), ("0", false), ("1", true)] {
            let body = format!(
                r#"{{"zen": "", "hook_id": 1, "hook": {{"config": {{"insecure_ssl": {flag}}}}}}}"#
            );
            let Event::Ping(ping) = read("ping", body.as_bytes()).unwrap() else {
                panic!("a ping");
            };
            assert_eq!(ping.warning().is_some(), warns, "{flag}");
        }
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
        let event = read("push", br#"{"ref": 7}"#).unwrap();
        assert_eq!(event, Event::Other("push".to_owned()));
    }
}
