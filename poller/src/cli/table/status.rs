//! `towline status`: who serves, and a line for each service.

use super::{lines, none, notes::notes, table, time};
use crate::{
    status::{DoorbellState, DoorbellStatus, Observed, PendingState, ServiceStatus, Status},
    terminal::printable,
};

/// How the services stand.
pub(in crate::cli) fn status(status: &Status, width: Option<u16>) -> String {
    let mut text = about_poller(status);
    // Where all are containers nobody asks what kind of thing one is.
    let tells_kind = status
        .services
        .iter()
        .any(|service| service.kind != "docker");
    let mut header = vec![
        "SERVICE", "COMMIT", "DIGEST", "DEPLOYED", "STATE", "PENDING",
    ];
    if tells_kind {
        header.insert(1, "KIND");
    }
    let mut table = table(&header, width);
    for service in &status.services {
        let since = service
            .deployed
            .as_ref()
            .filter(|_| service.is_as_deployed());
        let mut row = vec![
            service.name.to_string(),
            service
                .sha()
                .map_or_else(none, |sha| sha.short().to_owned()),
            service
                .digest()
                .map_or_else(none, |digest| digest.short().to_owned()),
            since.map_or_else(none, |deployed| time(deployed.since)),
            standing(service),
            doing(service).map_or_else(none, str::to_owned),
        ];
        if tells_kind {
            row.insert(1, printable(&service.kind));
        }
        table.add_row(row);
    }
    text += &lines(&table);
    let notes: String = status.services.iter().flat_map(notes).collect();
    if !notes.is_empty() {
        text += &format!("\n{notes}");
    }
    text
}

/// Who serves, and what is wrong with whom it needs.
fn about_poller(status: &Status) -> String {
    let mut text = match &status.poller {
        Some(poller) => format!(
            "towline {} runs on {} since {}\n",
            poller.version,
            status.host,
            time(poller.since)
        ),
        None => format!("towline run does not run on {}\n", status.host),
    };
    let relay = &status.relay;
    match (&relay.trouble, relay.answered_at) {
        (Some(why), Some(at)) => {
            text += &format!("relay: last answered {}; {}\n", time(at), printable(why));
        }
        (Some(why), None) => text += &format!("relay: {}\n", printable(why)),
        (None, Some(at)) => text += &format!("relay: {} answered {}\n", relay.url, time(at)),
        (None, None) => {}
    }
    if let Some(doorbell) = &relay.doorbell {
        text += &format!("doorbell: {}\n", about_doorbell(doorbell));
    }
    if let Some(why) = &status.engine.trouble {
        text += &format!("engine: {}\n", printable(why));
    }
    let reports = &status.reports;
    if reports.unsent > 0 {
        text += &format!("reports: {} not sent yet\n", reports.unsent);
    }
    if reports.refused > 0 {
        text += &format!(
            "reports: {} refused by the relay for good\n",
            reports.refused
        );
    }
    text + "\n"
}

/// Whether intents come at once, and if not, why.
fn about_doorbell(doorbell: &DoorbellStatus) -> String {
    let since = doorbell
        .since
        .map_or(String::new(), |at| format!(" since {}", time(at)));
    let trouble = doorbell.trouble.as_deref();
    let why = trouble.map_or(String::new(), |why| format!("; {}", printable(why)));
    let state = match doorbell.state {
        DoorbellState::Off => "off",
        DoorbellState::Connecting => "not connected yet",
        DoorbellState::Connected => "connected",
        DoorbellState::Lost => "not connected",
    };
    format!("{state}{since}{why}")
}

/// What is to be done, or why nothing is.
fn doing(service: &ServiceStatus) -> Option<&'static str> {
    let pending = service.pending.as_ref();
    let held_off = service.locks.first().map(|_| "held off");
    let held = service.held.as_ref().map(|_| "held");
    let pending = pending.map(|pending| word(pending.state));
    pending.or(held_off).or(held)
}

pub(super) fn word(state: PendingState) -> &'static str {
    match state {
        PendingState::Queued => "queued",
        PendingState::Waiting => "waiting",
        PendingState::Applying => "applying",
        PendingState::Interrupted => "interrupted",
        PendingState::NeedsOperator => "needs operator",
    }
}

/// How what the service is made of stands: its container or containers, else the containers of its project, else its checkout.
fn standing(service: &ServiceStatus) -> String {
    let unknown = || "unknown".to_owned();
    if !service.replicas.is_empty() {
        let all = service.replicas.len();
        let well = service.replicas.iter().filter(|one| one.is_well()).count();
        return if all == well {
            format!("{all} well")
        } else {
            format!("{well} of {all} well")
        };
    }
    if let Some(observed) = &service.observed {
        return state(observed);
    }
    if let Some(containers) = &service.containers {
        let containers: Vec<_> = containers.iter().filter(|one| !one.beside).collect();
        let well = containers.iter().filter(|one| one.is_well()).count() as u64;
        let missing = service
            .missing
            .iter()
            .map(|one| one.of.saturating_sub(one.there));
        return match containers.len() as u64 + missing.sum::<u64>() {
            _ if containers.is_empty() => "absent".to_owned(),
            all if all == well => format!("{all} well"),
            all => format!("{well} of {all} well"),
        };
    }
    match (service.kind.as_str(), &service.checkout) {
        ("docker" | "compose", _) => unknown(),
        (_, None) => none(),
        (_, Some(checkout)) if checkout.commit.is_none() => unknown(),
        (_, Some(checkout)) if checkout.changes.is_empty() => "clean".to_owned(),
        (_, Some(_)) => "changed".to_owned(),
    }
}

fn state(observed: &Observed) -> String {
    let state = printable(&observed.state);
    match (&observed.health, observed.exit_code) {
        (Some(health), _) => format!("{state} ({})", printable(health)),
        (None, Some(code)) => format!("{state} ({code})"),
        (None, None) => state,
    }
}
