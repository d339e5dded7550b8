//! Looking up one intent, for who ordered it.

use towline_protocol::{Intent, IntentId};

use super::{
    Store,
    column::{body, text},
};
use crate::error::Fault;

impl Store {
    /// The intent of this id, if there is one.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn intent(&self, id: &IntentId) -> Result<Option<Intent>, Fault> {
        let row = self.row("SELECT body FROM intent WHERE id = ?", vec![text(id)])?;
        row.map(|row| body(&row, 0)).transpose()
    }
}
