//! What the relay remembers of the hooks at GitHub: one row each.

use std::collections::BTreeMap;

use super::{
    Store,
    column::{body, failed},
};
use crate::{error::Fault, missed::Look};

impl Store {
    /// What is remembered of each of these hooks; nothing of those that are new.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn looks(&self, hooks: &[String]) -> Result<BTreeMap<String, Look>, Fault> {
        let mut looks = BTreeMap::new();
        for hook in hooks {
            let row = self.row(
                "SELECT look FROM hook WHERE name = ?",
                vec![hook.as_str().into()],
            )?;
            let look = row.map(|row| body(&row, 0)).transpose()?;
            looks.insert(hook.clone(), look.unwrap_or_default());
        }
        Ok(looks)
    }

    /// Remembers these.
    ///
    /// # Errors
    /// When SQLite fails; a look that is lost is only looked again.
    pub fn looked(&self, looks: &BTreeMap<String, Look>) -> Result<(), Fault> {
        for (hook, look) in looks {
            let json = serde_json::to_string(look).map_err(failed)?;
            let insert = "INSERT OR REPLACE INTO hook (name, look) VALUES (?, ?)";
            self.rows(insert, vec![hook.as_str().into(), json.into()])?;
        }
        Ok(())
    }
}
