//! How a deploy of parts ended, for the report.

use std::time::Duration;

use towline_protocol::{Outcome, ServiceName, Side};

use super::super::{Applied, said::POSTPONED};
use crate::{
    backup::BackupName,
    machine::Fault,
    sequence::{Ending, Sequence},
};

/// How `sequence` of `name` ended after `took`. What it took and said is not in it.
pub(super) fn applied(sequence: &Sequence, name: &ServiceName, took: Duration) -> Applied {
    let (from, to) = (short(&sequence.from), short(&sequence.to));
    let failed = |outcome, why: &String| (outcome, None, format!("{name}: {to} failed: {why}"));
    let (outcome, gate, mut message) = match sequence.ending() {
        Some(Ending::Succeeded { gate }) => {
            let seconds = took.as_secs_f64();
            let message = format!("{name}: {from} -> {to} in {seconds:.1} s");
            (Outcome::Succeeded, Some(*gate), message)
        }
        Some(Ending::RolledBack { why }) => failed(Outcome::RolledBack, why),
        Some(Ending::FailedUntouched { why }) => failed(Outcome::FailedUntouched, why),
        Some(Ending::NeedsOperator { why }) => failed(Outcome::NeedsOperator, why),
        Some(Ending::Postponed { why }) => {
            let message = format!("{name}: {to} postponed by {why}");
            (Outcome::Waiting, None, message)
        }
        None => failed(Outcome::Applying, &String::new()),
    };
    for note in &sequence.notes {
        message.push_str("; ");
        message.push_str(note);
    }
    if sequence.fault == Fault::Version && !sequence.before.was_healthy {
        message.push_str("; the version before did not pass its checks either: are they right?");
    }
    Applied {
        gate,
        fault: sequence.fault,
        pause: (outcome == Outcome::Waiting).then_some(POSTPONED),
        spent: spent(sequence),
        version_before: sequence.before.old_version.clone(),
        version: sequence.before.new_version.clone(),
        revision: Some(sequence.before.new.clone()),
        ..Applied::new(outcome, sequence.from.clone(), sequence.to.clone(), message)
    }
}

/// The end of a deploy that could not begin, for this reason.
pub(super) fn untouched(sequence: &Sequence, name: &ServiceName, why: &str) -> Applied {
    let message = format!("{name}: {} failed: {why}", short(&sequence.to));
    let (from, to) = (sequence.from.clone(), sequence.to.clone());
    Applied {
        version_before: sequence.before.old_version.clone(),
        version: sequence.before.new_version.clone(),
        ..Applied::new(Outcome::FailedUntouched, from, to, message)
    }
}

/// The backup of a deploy that has changed nothing. One is made with each try, and they would drive out those that matter.
fn spent(sequence: &Sequence) -> Option<BackupName> {
    match sequence.ending()? {
        Ending::Postponed { .. } | Ending::FailedUntouched { .. } => {
            sequence.before.backup.as_ref()?.parse().ok()
        }
        Ending::Succeeded { .. } | Ending::RolledBack { .. } | Ending::NeedsOperator { .. } => None,
    }
}

/// A side as people call it.
pub(super) fn short(side: &Side) -> &str {
    let sha = side.sha.as_ref().map(|sha| sha.short());
    let digest = side.digest.as_ref().map(|digest| digest.short());
    sha.or(digest).unwrap_or("unknown")
}
