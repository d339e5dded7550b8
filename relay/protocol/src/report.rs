//! The report: what a host tells the relay about one intent and one service.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    MAX_LOG_TAIL,
    name::{Digest, IntentId, ServiceName, Sha},
};

/// How one intent fared with one service on one host.
///
/// Identity is (host, intent, service, attempt); a later phase replaces an earlier one. The host is
/// the token's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The intent.
    pub intent: IntentId,
    /// The service; `None` acknowledges that the host has seen the intent.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// Counts the tries of this intent with this service, from 1.
    pub attempt: u32,
    /// How it stands or ended; `None` in an acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When the host began.
    pub started_at: Timestamp,
    /// When the host was done; `None` while pending.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// How sure the gate was, when it was asked.
    #[serde(default)]
    pub gate: Option<Gate>,
    /// What ran before.
    #[serde(default)]
    pub from: Side,
    /// What should run now.
    #[serde(default)]
    pub to: Side,
    /// One line for people.
    #[serde(default)]
    pub message: String,
    /// The failed version's last words, at most [`MAX_LOG_TAIL`] bytes.
    #[serde(default)]
    pub log_tail: String,
    /// What was done, in order.
    #[serde(default)]
    pub steps: Vec<StepTime>,
    /// In an acknowledgement: the services whose rule matched, possibly none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<ServiceName>,
    /// Where it stands among the host's reports; `None` from a poller that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

/// A place in the order in which a host has made its reports: whatever way they took, the later one has the greater.
///
/// Two numbers, of which the first counts more. Nothing else is to be read out of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order(pub u64, pub u64);

/// One side of a deploy, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The commit.
    #[serde(default)]
    pub sha: Option<Sha>,
    /// The image manifest's digest.
    #[serde(default)]
    pub digest: Option<Digest>,
}

/// A step and how long it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// The step's name, for instance `pull`.
    pub step: String,
    /// Milliseconds.
    pub ms: u64,
}

/// How sure the gate was of the new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// A check said so.
    Healthy,
    /// There was nothing to check but that it runs.
    Weak,
}

/// How a deploy stands or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Pending: something that the message names must happen first.
    Waiting,
    /// Pending: at work.
    Applying,
    /// The new version runs and passed the gate.
    Succeeded,
    /// It ran exactly this already.
    Unchanged,
    /// The new version failed; the old one runs, as well as it did before.
    RolledBack,
    /// It failed before anything was touched.
    FailedUntouched,
    /// Neither side could be brought up, or a human changed things meanwhile.
    NeedsOperator,
    /// A newer intent won.
    Superseded,
    /// Older than what was seen already.
    Stale,
    /// It came too late.
    Expired,
    /// This digest failed here before.
    Quarantined,
    /// The host's file does not allow it.
    Refused,
}

impl Outcome {
    /// Whether nothing more will come: every outcome but the two pending ones.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Waiting | Self::Applying)
    }

    /// The outcome as it is written in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Applying => "applying",
            Self::Succeeded => "succeeded",
            Self::Unchanged => "unchanged",
            Self::RolledBack => "rolled_back",
            Self::FailedUntouched => "failed_untouched",
            Self::NeedsOperator => "needs_operator",
            Self::Superseded => "superseded",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
        }
    }
}

/// The last [`MAX_LOG_TAIL`] bytes of `log`, cut at a character.
pub fn log_tail(log: &str) -> &str {
    let start = log.len().saturating_sub(MAX_LOG_TAIL);
    let start = (start..=log.len())
        .find(|at| log.is_char_boundary(*at))
        .unwrap_or(log.len());
    log.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_called_the_same_in_a_report_and_in_a_log() {
        for name in [
            "waiting",
            "succeeded",
            "rolled_back",
            "failed_untouched",
            "needs_operator",
        ] {
            let outcome: Outcome = serde_json::from_value(name.into()).unwrap();
            assert_eq!(outcome.as_str(), name);
        }
    }

    #[test]
    fn an_order_is_two_numbers_and_may_be_missing() {
        let mut told = serde_json::json!({
            "intent": "in_aaaaaaaaaaaaaaaaaaaaaaaaaa", "attempt": 1,
            "started_at": "2026-11-20T15:00:00Z",
        });
        let older: Report = serde_json::from_value(told.clone()).unwrap();
        assert_eq!(older.order, None);
        told["order"] = serde_json::json!([17, 1_795_186_000_000_u64]);
        let report: Report = serde_json::from_value(told.clone()).unwrap();
        assert_eq!(report.order, Some(Order(17, 1_795_186_000_000)));
        assert_eq!(
            serde_json::to_value(report).unwrap()["order"],
            told["order"]
        );
        assert!(Order(2, 0) > Order(1, 9) && Order(1, 9) > Order(1, 8));
    }

    #[test]
    fn a_log_tail_is_bounded_and_never_cuts_a_character() {
        assert_eq!(log_tail("short"), "short");
        let long = "é".repeat(MAX_LOG_TAIL);
        assert!(log_tail(&long).len() <= MAX_LOG_TAIL);
        let odd = format!("x{}", "é".repeat(MAX_LOG_TAIL / 2));
        assert_eq!(log_tail(&odd).len(), MAX_LOG_TAIL);
    }
}
