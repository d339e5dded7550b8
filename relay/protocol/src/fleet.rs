//! The fleet: what the relay knows of its hosts, the answer to `GET /v1/fleet`.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    name::{Channel, HostName, IntentId, ServiceName},
    report::{Outcome, Side},
};

/// The answer to `GET /v1/fleet`: the hosts that share a channel with the asker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// By name.
    pub hosts: BTreeMap<HostName, FleetHost>,
    /// What the hub has done today.
    pub today: Today,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetHost {
    /// When it was last heard of.
    pub seen_at: Timestamp,
    /// Whether its doorbell is connected.
    pub connection: Connection,
    /// Its poller's version; `None` when it has not said.
    #[serde(default)]
    pub version: Option<String>,
    /// What it runs.
    pub services: BTreeMap<ServiceName, FleetService>,
}

/// How a host listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// Its doorbell is connected.
    Connected,
    /// It asks now and then, or is gone: see when it was last heard of.
    Polling,
}

/// One service of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetService {
    /// The channel that its rule names.
    pub channel: Channel,
    /// What it is, for instance `docker`.
    pub kind: String,
    /// What runs, if the host knows.
    #[serde(default)]
    pub running: Option<Side>,
    /// What it said last about an intent.
    #[serde(default)]
    pub last: Option<LastReport>,
}

/// What a service said last about an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReport {
    /// The intent.
    pub intent: IntentId,
    /// How it stands or ended.
    pub outcome: Outcome,
    /// When the hub heard it.
    pub at: Timestamp,
}

/// What the hub has done today, in UTC, against the daily limits of the plan. Polls of the mailboxes do not reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Today {
    /// The day.
    pub date: Date,
    /// Requests to the hub.
    pub hub_requests: u64,
    /// Frames that came in on doorbells; Cloudflare bills twenty as one request.
    pub frames: u64,
    /// Writes to KV, failed ones included.
    pub kv_writes: u64,
    /// Intents that were queued.
    pub intents: u64,
    /// Reports that were kept.
    pub reports: u64,
}
