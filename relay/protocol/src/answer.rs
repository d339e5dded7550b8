//! What the relay answers, apart from intents themselves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    intent::Intent,
    mailbox::ChannelNews,
    name::{Channel, HostName, IntentId, ServiceName},
    report::Report,
};

/// The answer to `POST /webhook/github`: 202 when queued, else 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookAnswer {
    /// What became of the delivery.
    pub status: WebhookStatus,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The intent that the delivery became, or became earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentId>,
    /// The intent's number on its channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStatus {
    /// Committed; it will reach KV.
    Queued,
    /// The same cause was queued before.
    Duplicate,
    /// Not for us; nothing was stored.
    Ignored,
    /// A `ping`.
    Pong,
}

/// The answer to `GET /v1/intents`: every channel that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polled {
    /// By channel.
    pub channels: BTreeMap<Channel, ChannelNews>,
}

/// The answer to `GET /v1/intents/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentStatus {
    /// The intent.
    pub intent: Intent,
    /// What each host said of it, and each host that should and has not: it was seen on the channel in the last seven
    /// days, and the intent is for it.
    pub hosts: BTreeMap<HostName, HostStatus>,
}

/// What one host said of one intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// When the host was last heard of it; of a host that has said nothing yet, when that was last heard of at all.
    pub seen_at: Timestamp,
    /// The services whose rule matched, possibly none; `None` when the host has not acknowledged the intent yet.
    #[serde(default)]
    pub matched: Option<Vec<ServiceName>>,
    /// The latest report of each service.
    pub services: BTreeMap<ServiceName, Report>,
}

/// The answer to `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Always `healthy`: a relay that is not does not answer.
    pub status: String,
    /// The relay's version.
    pub version: String,
}

/// Every error's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For programs, for instance `bad_signature`.
    pub code: String,
    /// For people.
    pub message: String,
}
