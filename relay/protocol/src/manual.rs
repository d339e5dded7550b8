//! Intents that somebody asks for: the body of `POST /v1/intents` and its answer.

use serde::{Deserialize, Serialize};

use crate::{
    intent::{Image, Intent},
    name::{Channel, HostName, ServiceName, Sha},
};

/// The body of `POST /v1/intents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIntent {
    /// The stream that it belongs to.
    pub channel: Channel,
    /// The one service that it is for; `None` is every service whose rule matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The hosts that it is for; empty is every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostName>,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<Sha>,
    /// The image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it is too late to apply it: `90s`, `30m`, `24h` or `7d`; `None` is an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
}

/// The answer to `POST /v1/intents`: the intent, and for a job of GitHub Actions a ticket to follow it with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The intent.
    #[serde(flatten)]
    pub intent: Intent,
    /// A bearer token for `GET /v1/intents/{id}` of this intent alone, for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}
