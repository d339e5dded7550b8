//! Looking up one intent, for who ordered it.

use towline_protocol::{Intent, IntentId};

use super::{
    Store,
    column::{int, text},
    in_epoch,
};
use crate::error::Fault;

impl Store {
    /// The intent of this id, if there is one.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn intent(&self, id: &IntentId) -> Result<Option<Intent>, Fault> {
        let query = "SELECT body, epoch FROM intent JOIN channel ON name = channel WHERE id = ?";
        let row = self.row(query, vec![text(id)])?;
        row.map(|row| in_epoch(&row, int(&row, 1)?)).transpose()
    }
}
