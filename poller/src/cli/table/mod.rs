//! What `towline status`, `history` and `backups` print for people: tables as wide as the terminal, without colours.
//!
//! The only folder that names `comfy_table` and `terminal_size`. Here is what all tables have in common; `status` (with `notes`
//! below it), `history` and `backups` are one each.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;

mod backups;
mod history;
mod notes;
mod status;
#[cfg(test)]
mod tests;

pub(super) use backups::backups;
pub(super) use history::history;
pub(super) use status::status;

/// How wide the terminal is, in columns; `None` when standard output is none, so that lines stay whole for `grep`.
pub(super) fn width() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}

/// How many lines have room on the terminal behind standard error, above the cursor's.
pub(super) fn height() -> usize {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    size.map_or(usize::MAX, |(_, height)| {
        usize::from(height.0).saturating_sub(1).max(1)
    })
}

fn table(header: &[&str], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    table
}

/// The table without the room that cells leave at both ends of a line.
fn lines(table: &Table) -> String {
    let lines = table.lines().map(|line| {
        let line = line.trim_end();
        format!("{}\n", line.strip_prefix(' ').unwrap_or(line))
    });
    lines.collect()
}

fn none() -> String {
    "-".to_owned()
}

/// To the second, in UTC.
fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}
