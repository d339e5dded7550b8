//! A deploy as the journal has it: text that this version or an earlier one has written. What is the same in a journal of
//! parts (`sequence`) is here too.

use serde::Deserialize;
use thiserror::Error;

use super::{Deploy, Strategy};

/// The newest journal format of a container's deploy that this version reads. Format 2 is `sequence`'s.
pub(super) const FORMAT: u32 = 3;

/// Whether a journal of this format is one of a container's deploy, and not of parts.
pub(crate) fn is_of_container(format: u32) -> bool {
    matches!(format, 1 | FORMAT)
}

/// The format of a deploy in this order: what the first version could do is written as it wrote that.
pub(super) fn format_for(strategy: Strategy, parallel: Option<usize>, own: Option<usize>) -> u32 {
    match (strategy, parallel, own) {
        (Strategy::StopFirst, None, None) => 1,
        (Strategy::StopFirst | Strategy::StartFirst, _, _) => FORMAT,
    }
}

/// Why a journal cannot be read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Not what any version writes.
    #[error("the journal of a deploy is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// Written by a newer version.
    #[error(
        "the journal of a deploy has format {found}, and this version reads up to {reads}: install the newer towline again"
    )]
    Newer {
        /// The format found.
        found: u32,
        /// The newest that is read.
        reads: u32,
    },
    /// A container's journal where one of parts is read.
    #[error("the journal is one of a container's deploy, not of a service made of parts")]
    OfContainer,
    /// Of nothing; this is missing.
    #[error("the journal of a deploy names {0}")]
    Empty(&'static str),
}

/// The format of a journal of any kind, which must not be newer than what is read.
///
/// # Errors
/// See [`JournalError`].
pub(crate) fn format_of(text: &str, reads: u32) -> Result<u32, JournalError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format: found } = serde_json::from_str(text)?;
    if found > reads {
        return Err(JournalError::Newer { found, reads });
    }
    Ok(found)
}

impl Deploy {
    /// The journal's text.
    ///
    /// # Errors
    /// Never for what this crate builds; the type of `serde_json` allows for it.
    pub fn to_journal(&self) -> Result<String, JournalError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads what [`Self::to_journal`] wrote.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn from_journal(text: &str) -> Result<Self, JournalError> {
        format_of(text, FORMAT)?;
        let deploy: Self = serde_json::from_str(text)?;
        match deploy.members.is_empty() {
            true => Err(JournalError::Empty("no container")),
            false => Ok(deploy),
        }
    }
}
