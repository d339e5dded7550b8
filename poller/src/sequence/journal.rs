//! A deploy of parts as the journal has it: text that this version or an earlier one has written.

use serde::Deserialize;
use thiserror::Error;

use super::Sequence;
use crate::settings::Parts;

/// The journal format that this version writes, and the newest that it reads. Format 1 is `machine`'s.
pub(super) const FORMAT: u32 = 2;

/// Why a journal cannot be read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Not what any version writes.
    #[error("the journal of a deploy is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// Written by a newer version.
    #[error(
        "the journal of a deploy has format {found}, and this version reads up to {FORMAT}: install the newer towline again"
    )]
    Newer {
        /// The format found.
        found: u32,
    },
    /// A container's journal, which `machine` reads.
    #[error("the journal is one of a container's deploy, not of a service made of parts")]
    OfContainer,
    /// Without a part.
    #[error("the journal of a deploy names neither a checkout, a Compose project nor a command")]
    Empty,
}

/// The format of a journal of any kind.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Sequence {
    /// The journal's text.
    ///
    /// # Errors
    /// Never for what this crate builds; the type of `serde_json` allows for it.
    pub fn to_journal(&self) -> Result<String, JournalError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Whether a journal is one of a deploy of parts, not of a container, which `machine` reads.
    pub fn is_in(journal: &str) -> bool {
        serde_json::from_str(journal).is_ok_and(|Format { format }| format >= FORMAT)
    }

    /// Reads what [`Self::to_journal`] wrote.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn from_journal(text: &str) -> Result<Self, JournalError> {
        let Format { format } = serde_json::from_str(text)?;
        if format > FORMAT {
            return Err(JournalError::Newer { found: format });
        }
        if format < FORMAT {
            return Err(JournalError::OfContainer);
        }
        let sequence: Self = serde_json::from_str(text)?;
        let Parts {
            git,
            compose,
            command,
            ..
        } = &sequence.parts;
        if git.is_none() && compose.is_none() && command.is_none() {
            return Err(JournalError::Empty);
        }
        Ok(sequence)
    }
}
