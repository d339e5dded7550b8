//! How the last deploys ended, for people and programs. Pure.
//!
//! The types are also the shape of `towline history --json`. Not here: how ends are kept (`store`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use towline_protocol::{IntentId, Outcome, ServiceName, Side};

use crate::store::{Cause, Past};

/// The shape's number. Fields may be added to a shape, what is there keeps its name and meaning.
pub const FORMAT: u32 = 1;

/// How many ends can be asked for, of all services together.
pub const MOST: u32 = 1000;

/// What `towline history --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct History<'a> {
    /// See [`FORMAT`].
    pub format: u32,
    /// The ends, the newest first.
    pub deploys: &'a [Entry],
}

/// How a deploy ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The service.
    pub service: ServiceName,
    /// How.
    pub outcome: Outcome,
    /// The intent.
    pub intent: IntentId,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// What ran before.
    pub from: Side,
    /// What was to run.
    pub to: Side,
    /// What had caused it.
    pub cause: Cause,
    /// How long it took, from when it was picked up, in milliseconds: a wait for the image counts.
    pub ms: u64,
    /// What was said about it.
    pub message: String,
}

impl Entry {
    /// The entry of `past`, unless that says too little to be one.
    pub fn of(past: Past) -> Option<Self> {
        let Past { report, cause } = past;
        let at = report.finished_at.unwrap_or(report.started_at);
        let ms = at.duration_since(report.started_at).as_millis();
        Some(Self {
            at,
            service: report.service?,
            outcome: report.outcome?,
            intent: report.intent,
            attempt: report.attempt,
            from: report.from,
            to: report.to,
            cause,
            ms: u64::try_from(ms).unwrap_or(0),
            message: report.message,
        })
    }

    /// Whether something was tried: a version was deployed, or was to be.
    pub fn is_try(&self) -> bool {
        !matches!(
            self.outcome,
            Outcome::Superseded | Outcome::Stale | Outcome::Expired
        )
    }
}
