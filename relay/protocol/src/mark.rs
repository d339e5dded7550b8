//! How far a reader has come on a channel: `(epoch, seq)`, written `EPOCH.SEQ`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::name::{Channel, NameError};

/// A place in a channel. Epochs only grow; within one, `seq` counts from 1 and 0 means "nothing yet".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Mark {
    /// The hub's creation time in milliseconds since 1970.
    pub epoch: u64,
    /// The newest intent that was received.
    pub seq: u64,
}

impl Mark {
    /// No mark yet, `0.0`.
    pub const NONE: Self = Self { epoch: 0, seq: 0 };
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

impl FromStr for Mark {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parsed = text.split_once('.').and_then(|(epoch, seq)| {
            Some(Self {
                epoch: epoch.parse().ok()?,
                seq: seq.parse().ok()?,
            })
        });
        parsed.ok_or(NameError {
            what: "mark",
            text: text.chars().take(80).collect(),
            rule: "use EPOCH.SEQ, two whole numbers, or 0.0 for none",
        })
    }
}

/// A channel and the asker's place in it, `CHANNEL@EPOCH.SEQ` in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelMark {
    /// The channel.
    pub channel: Channel,
    /// The asker's place in it.
    pub mark: Mark,
}

impl fmt::Display for ChannelMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.channel, self.mark)
    }
}

impl FromStr for ChannelMark {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (channel, mark) = text.split_once('@').ok_or(NameError {
            what: "channel parameter",
            text: text.chars().take(80).collect(),
            rule: "use CHANNEL@EPOCH.SEQ, for instance octo-org/web@0.0",
        })?;
        Ok(Self {
            channel: channel.parse()?,
            mark: mark.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_as_written_and_epochs_come_first() {
        let asked: ChannelMark = "octo-org/web@1795186000000.42".parse().unwrap();
        assert_eq!(asked.to_string(), "octo-org/web@1795186000000.42");
        assert!(Mark { epoch: 2, seq: 0 } > Mark { epoch: 1, seq: 9 });
        for bad in [
            "web",
            "web@",
            "web@1",
            "web@1.",
            "web@-1.0",
            "Web@0.0",
            "web@1.99999999999999999999",
        ] {
            assert!(bad.parse::<ChannelMark>().is_err(), "{bad}");
        }
    }
}
