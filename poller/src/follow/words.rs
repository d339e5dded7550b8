//! How a followed intent is told: a line for each host and service, what is new, and how it ended.

use std::time::Duration;

use towline_protocol::{Gate, Outcome, Report};

use super::{Enough, Row, State, View};
use crate::{exit, terminal::printable};

/// So many of a failed version's last lines are shown; the report has more.
const LOG_LINES: usize = 20;

impl View {
    /// A line for each service, and for each host that has named none; at most so many, those first that are not over.
    pub fn lines(&self, most: usize) -> Vec<String> {
        if self.fits(most) {
            return self.rows.iter().map(line).collect();
        }
        let (over, open): (Vec<_>, Vec<_>) = self.rows.iter().partition(|row| row.is_over());
        let shown = most.saturating_sub(1);
        let rows = open.iter().chain(&over).take(shown);
        let lines = rows.map(|row| line(row));
        let hidden = self.rows.len() - shown;
        let still = open.len().saturating_sub(shown);
        let more = match still {
            0 => format!("and {hidden} more that have ended"),
            _ => format!("and {hidden} more, {still} of which have not ended"),
        };
        lines.chain([more]).collect()
    }

    /// The lines that say something else than before.
    pub fn news(&self, before: Option<&Self>) -> Vec<String> {
        let old = before.map(|before| before.rows.as_slice());
        let old = old.unwrap_or_default();
        let rows = self.rows.iter().filter(|row| !old.contains(row));
        let said = |row: &&Row| {
            let same = old.iter().find(|other| other.key() == row.key());
            same.map(line) != Some(line(row))
        };
        rows.filter(said).map(line).collect()
    }
}

fn line(row: &Row) -> String {
    let state = state(row);
    match &row.service {
        Some(service) => format!("{} {service}: {state}", row.host),
        None => format!("{}: {state}", row.host),
    }
}

fn state(row: &Row) -> String {
    match &row.state {
        State::Unknown => "not seen on this channel in the last 7 days".to_owned(),
        State::Silent { seen_at } => {
            let seen_at = seen_at.strftime("%Y-%m-%dT%H:%M:%SZ");
            format!("has not acknowledged it, last heard of {seen_at}")
        }
        State::NotForIt => "has no service that it is for".to_owned(),
        State::Acknowledged => "acknowledged".to_owned(),
        State::Reported { report } => reported(report),
    }
}

fn reported(report: &Report) -> String {
    let Some(outcome) = report.outcome else {
        return "acknowledged".to_owned();
    };
    let weak = if report.gate == Some(Gate::Weak) {
        " (weak: no health check says more)"
    } else {
        ""
    };
    let message = printable(&report.message);
    // The line begins with the service's name already.
    let service = report.service.as_ref();
    let message = service
        .and_then(|service| message.strip_prefix(service.as_str())?.strip_prefix(": "))
        .unwrap_or(&message);
    let message = match message.trim() {
        "" => String::new(),
        message => format!(": {message}"),
    };
    format!("{}{weak}{message}", outcome.as_str())
}

/// What is said at the end.
pub(super) fn conclusion(view: &View, why: Enough, is_told: bool) -> Vec<String> {
    let failures = view.rows.iter().flat_map(|row| failure(row, is_told));
    let mut words: Vec<_> = failures.collect();
    let unknown = view.unknown().map(|host| {
        format!("{host} has not been seen on this channel in the last 7 days, so that it is not waited for; is the name right, does towline run there?")
    });
    words.extend(unknown);
    if let Enough::TimedOut(after) = why {
        words.push(format!("gave up after {}:", seconds(after)));
        let open = view.rows.iter().filter(|row| !row.is_over());
        words.extend(open.map(|row| format!("  {}", line(row))));
        words.push(format!(
            "what is under way goes on; follow it with: towline follow {}",
            view.intent.id
        ));
    } else if view.rows.is_empty() {
        let channel = &view.intent.channel;
        words.push(format!(
            "no host was seen on channel {channel} in the last 7 days; is its name right, does a host's file name it, does towline run there?"
        ));
    } else if view.rows.iter().all(|row| row.state == State::Unknown) {
        words.push("nobody is there to do it; it waits for them until it expires".to_owned());
    } else if view.is_for_nobody() {
        words.push(
            "it is for no service of any host: their files decide, see `towline check` there"
                .to_owned(),
        );
    }
    words.extend(tally(view));
    words
}

/// Why it failed, unless that is told, with the failed version's last words.
fn failure(row: &Row, is_told: bool) -> Vec<String> {
    let State::Reported { report } = &row.state else {
        return Vec::new();
    };
    if row.ended().is_none_or(exit::is_well) {
        return Vec::new();
    }
    let log: Vec<_> = report.log_tail.lines().collect();
    let shown = log.get(log.len().saturating_sub(LOG_LINES)..);
    let log = shown.unwrap_or_default().iter();
    let log = log.map(|text| format!("  | {}", printable(text)));
    let head = match (is_told, &row.service) {
        (false, _) => line(row),
        (true, _) if report.log_tail.is_empty() => return Vec::new(),
        (true, Some(service)) => format!("{} {service} said last:", row.host),
        (true, None) => format!("{} said last:", row.host),
    };
    std::iter::once(head).chain(log).collect()
}

/// How often each outcome came; nothing when none did.
fn tally(view: &View) -> Option<String> {
    let mut counts: Vec<(Outcome, usize)> = Vec::new();
    for outcome in view.rows.iter().filter_map(Row::ended) {
        match counts.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => counts.push((outcome, 1)),
        }
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(outcome, count)| format!("{count} {}", outcome.as_str()))
        .collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}
