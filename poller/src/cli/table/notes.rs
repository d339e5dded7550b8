//! What does not fit into the table of `towline status`.

use towline_protocol::Outcome;

use super::{status::word, time};
use crate::{
    status::{PendingState, ServiceStatus},
    terminal::printable,
    version::VersionId,
};

/// What is to be said of a service beside its line, a line each.
pub(super) fn notes(service: &ServiceStatus) -> Vec<String> {
    let mut notes = Vec::new();
    let name = &service.name;
    if service.is_something_else() {
        let others: Vec<_> = service
            .others()
            .filter_map(|one| one.observed.name.as_deref())
            .collect();
        let others = match others.join(", ") {
            none if none.is_empty() => none,
            names => format!(": another image has {}", printable(&names)),
        };
        notes.push(format!(
            "{name}: what is there is not what towline has deployed last{others}\n"
        ));
    }
    if let Some(mixed) = service.mixed() {
        notes.push(format!(
            "{name}: its containers do not all have the same version: {}\n",
            printable(&mixed)
        ));
    }
    if service.is_unknown() {
        notes.push(format!(
            "{name}: what is in place is not known: an operator was needed since the last deploy that took effect\n"
        ));
    }
    if let Some(checkout) = &service.checkout {
        let path = printable(&checkout.path);
        if let Some(trouble) = &checkout.trouble {
            notes.push(format!("{name}: checkout {path}: {}\n", printable(trouble)));
        }
        if !checkout.changes.is_empty() {
            let changes = printable(&checkout.changes.join(", "));
            notes.push(format!(
                "{name}: files of the checkout {path} were changed on this host: {changes}\n"
            ));
        }
    }
    if let Some(trouble) = service.trouble() {
        notes.push(format!(
            "{name}: the version that towline has deployed is not well any more: {}\n",
            printable(&trouble)
        ));
    }
    if let Some(held) = &service.held {
        notes.push(format!(
            "{name}: held since {} until a newer intent comes: {}\n",
            time(held.since),
            printable(&held.why)
        ));
    }
    for lock in &service.locks {
        let reason = lock.reason.as_ref();
        let reason = reason.map_or(String::new(), |reason| {
            format!(": {}", printable(&reason.to_string()))
        });
        notes.push(format!(
            "{name}: deploys are held off by {} since {} until {}{reason}\n",
            lock.name,
            time(lock.since),
            time(lock.until)
        ));
    }
    if let Some(pending) = &service.pending {
        let until = pending
            .until
            .map_or(String::new(), |until| format!(", until {}", time(until)));
        notes.push(format!(
            "{name}: {} intent {}{until}: {}\n",
            word(pending.state),
            pending.intent,
            printable(&pending.why)
        ));
    }
    let needs_operator = service
        .pending
        .as_ref()
        .is_some_and(|pending| pending.state == PendingState::NeedsOperator);
    if let Some(last) = &service.last
        && !needs_operator
        && last.outcome != Outcome::Succeeded
        && last.outcome != Outcome::Unchanged
    {
        notes.push(format!(
            "{name}: the last deploy ended {} as {}: {}\n",
            time(last.at),
            last.outcome.as_str(),
            printable(&last.message)
        ));
    }
    if !service.quarantined.is_empty() {
        let versions: Vec<_> = service.quarantined.iter().map(VersionId::short).collect();
        notes.push(format!("{name}: in quarantine: {}\n", versions.join(", ")));
    }
    notes
}
