//! `towline history`: a line for each deploy that has ended.

use comfy_table::ColumnConstraint;
use towline_protocol::Side;

use super::{lines, none, table, time};
use crate::{
    history::Entry,
    store::{Cause, CauseKind},
    terminal::printable,
};

/// How the last deploys ended.
pub(in crate::cli) fn history(deploys: &[Entry], width: Option<u16>) -> String {
    if deploys.is_empty() {
        return "no deploy has ended yet\n".to_owned();
    }
    let mut table = table(
        &[
            "TIME", "SERVICE", "OUTCOME", "FROM", "TO", "CAUSE", "SECONDS", "MESSAGE",
        ],
        width,
    );
    // A narrow terminal costs the long texts their room, not the short ones.
    table.set_constraints([ColumnConstraint::ContentWidth; 5]);
    for entry in deploys {
        table.add_row([
            time(entry.at),
            entry.service.to_string(),
            entry.outcome.as_str().to_owned(),
            side(&entry.from),
            side(&entry.to),
            cause(&entry.cause),
            format!("{}.{}", entry.ms / 1000, entry.ms % 1000 / 100),
            printable(&entry.message),
        ]);
    }
    lines(&table)
}

/// The commit, or else the digest.
fn side(side: &Side) -> String {
    let sha = side.sha.as_ref().map(|sha| sha.short());
    let digest = side.digest.as_ref().map(|digest| digest.short());
    sha.or(digest).map_or_else(none, str::to_owned)
}

pub(super) fn cause(cause: &Cause) -> String {
    let by = cause
        .by
        .as_ref()
        .map_or(String::new(), |by| format!(" by {}", printable(by)));
    match cause.kind {
        CauseKind::WorkflowRun => format!("run{}{by}", of(cause.run_number.as_ref())),
        CauseKind::Push => format!(
            "push{}{by}",
            of(cause.tag.as_ref().or(cause.branch.as_ref()))
        ),
        CauseKind::RegistryPackage => format!("image{}{by}", of(cause.tag.as_ref())),
        CauseKind::Release => format!("release{}{by}", of(cause.tag.as_ref())),
        CauseKind::Deployment => format!("deployment{}{by}", of(cause.environment.as_ref())),
        CauseKind::Actions => format!("job of run{}{by}", of(cause.run_number.as_ref())),
        CauseKind::Manual => format!("operator{by}"),
        CauseKind::Rollback => format!("rollback{by}"),
        CauseKind::Unknown => none(),
    }
}

/// What it was of, where that is known.
fn of(name: Option<&impl ToString>) -> String {
    name.map_or(String::new(), |name| {
        format!(" {}", printable(&name.to_string()))
    })
}
