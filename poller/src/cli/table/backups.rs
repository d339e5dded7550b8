//! `towline backups`: a line for each backup.

use comfy_table::ColumnConstraint;

use super::{lines, none, table, time};
use crate::{backup::size, cli::backups::Row, terminal::printable};

/// The backups that are there.
pub(in crate::cli) fn backups(found: &[Row], width: Option<u16>) -> String {
    if found.is_empty() {
        return "no backup is there yet\n".to_owned();
    }
    let mut table = table(&["TIME", "SERVICE", "COMMIT", "SIZE", "NAME"], width);
    table.set_constraints([ColumnConstraint::ContentWidth; 5]);
    for row in found {
        table.add_row([
            time(row.at),
            row.service.to_string(),
            row.sha
                .as_ref()
                .map_or_else(none, |sha| sha.short().to_owned()),
            size(row.bytes),
            row.name.to_string(),
        ]);
    }
    let troubles = found.iter().filter_map(|row| row.trouble.as_ref());
    let troubles: String = troubles
        .map(|trouble| format!("\n{}\n", printable(trouble)))
        .collect();
    lines(&table) + &troubles
}
