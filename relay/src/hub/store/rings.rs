//! What the hub's doorbells are rung with.

use std::collections::BTreeMap;

use towline_protocol::{Channel, Intent, Mark};

use super::{
    Store,
    column::{number, text},
    in_epoch,
};
use crate::{doorbell::MAX_RINGS, error::Fault, mailbox};

impl Store {
    /// Of each channel the newest intents that are newer than the mark, ascending, [`MAX_RINGS`] at most.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn unheard(&self, marks: &BTreeMap<Channel, Mark>) -> Result<Vec<Intent>, Fault> {
        let mut unheard = Vec::new();
        for (channel, mark) in marks {
            let Some(numbers) = self.numbers(channel)? else {
                continue;
            };
            if let Some(above) = mailbox::news_above(*mark, numbers.epoch) {
                unheard.extend(self.newest_above(channel, above, numbers.epoch)?);
            }
        }
        Ok(unheard)
    }

    fn newest_above(&self, channel: &Channel, seq: u64, epoch: u64) -> Result<Vec<Intent>, Fault> {
        let query =
            "SELECT body FROM intent WHERE channel = ? AND seq > ? ORDER BY seq DESC LIMIT ?";
        let rows = self.rows(query, vec![text(channel), number(seq)?, number(MAX_RINGS)?])?;
        rows.iter().rev().map(|row| in_epoch(row, epoch)).collect()
    }
}
