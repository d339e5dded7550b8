//! The mailbox: the KV value of one channel, and what a poll of it answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{intent::Intent, mark::Mark};

/// How many of the newest intents a mailbox holds.
pub const MAILBOX_WINDOW: usize = 16;

/// The KV value of one channel. The hub is its only writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// The hub's epoch.
    pub epoch: u64,
    /// The newest `seq` that was given out.
    pub head: u64,
    /// Intents below this `seq` are gone from the hub too; 0 when none are.
    #[serde(default)]
    pub pruned_before: u64,
    /// The newest intents, ascending by `seq`, at most [`MAILBOX_WINDOW`].
    pub intents: Vec<Intent>,
    /// When the hub wrote it.
    pub written_at: Timestamp,
}

/// One channel's part of the answer to `GET /v1/intents`: what is newer than the asker's mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelNews {
    /// The hub's epoch; 0 for an unknown mailbox.
    pub epoch: u64,
    /// The newest `seq` that was given out; 0 for an unknown mailbox.
    pub head: u64,
    /// Intents below this `seq` are gone for good.
    #[serde(default)]
    pub pruned_before: u64,
    /// Newer than the mark, ascending by `seq`. There may be a gap before the first one.
    pub intents: Vec<Intent>,
}

impl Mailbox {
    /// What is newer than `mark`. A mark of an older epoch counts for nothing: numbers began anew.
    pub fn since(self, mark: Mark) -> ChannelNews {
        let seen = if mark.epoch == self.epoch {
            mark.seq
        } else {
            0
        };
        let nothing_new = mark.epoch > self.epoch;
        let mut intents = self.intents;
        intents.retain(|intent| !nothing_new && intent.seq > seen);
        ChannelNews {
            epoch: self.epoch,
            head: self.head,
            pruned_before: self.pruned_before,
            intents,
        }
    }
}
