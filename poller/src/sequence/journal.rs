//! A deploy of parts as the journal has it: text that this version or an earlier one has written.

use super::Sequence;
use crate::{
    machine::{JournalError, format_of, is_of_container},
    settings::Parts,
};

/// The journal format that this version writes, and the newest that it reads. Formats 1 and 3 are
/// `machine`'s.
pub(super) const FORMAT: u32 = 2;

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
        format_of(journal, u32::MAX).is_ok_and(|format| !is_of_container(format))
    }

    /// Reads what [`Self::to_journal`] wrote.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn from_journal(text: &str) -> Result<Self, JournalError> {
        if is_of_container(format_of(text, u32::MAX)?) {
            return Err(JournalError::OfContainer);
        }
        format_of(text, FORMAT)?;
        let sequence: Self = serde_json::from_str(text)?;
        let Parts {
            git,
            compose,
            command,
            ..
        } = &sequence.parts;
        if git.is_none() && compose.is_none() && command.is_none() {
            let missing = "neither a checkout, a Compose project nor a command";
            return Err(JournalError::Empty(missing));
        }
        Ok(sequence)
    }
}
