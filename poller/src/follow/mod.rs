//! Following an intent: what became of it on each host, whether that is all, and how it ended. Pure.
//!
//! Here: [`View`], made from what the relay answers, and the [`Conclusion`] drawn from it. In `words` how both are told.
//! Not here: asking the relay again and again, and the terminal (`cli`).

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use towline_protocol::{
    HostName, Intent, IntentStatus, Outcome, Report, ServiceName, answer::HostStatus,
};

use crate::exit::Ending;

mod words;

/// The pause between two questions at first; it grows to [`SLOWEST`].
const SOONEST: Duration = Duration::from_secs(2);
const SLOWEST: Duration = Duration::from_secs(5);

/// How one intent stands.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    intent: Intent,
    rows: Vec<Row>,
}

/// How it stands with one service of one host, or with a host as a whole.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    host: HostName,
    service: Option<ServiceName>,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// The intent names a host that has not been seen on its channel.
    Unknown,
    /// The host has not acknowledged the intent.
    Silent { seen_at: Timestamp },
    /// None of the host's rules matches.
    NotForIt,
    /// The rule matches, and nothing more is known.
    Acknowledged,
    /// What the host has said.
    Reported { report: Box<Report> },
}

/// Why nobody follows any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enough {
    /// All has ended.
    Over,
    /// So much time has passed.
    TimedOut(Duration),
}

/// How it ended.
#[derive(Debug)]
pub struct Conclusion {
    /// For the exit status.
    pub ending: Ending,
    /// For people, a line each.
    pub words: Vec<String>,
}

/// When to ask again, after having followed for so long. What the relay asked for is the least.
pub fn pause(followed: Duration, retry_after: Option<Duration>) -> Duration {
    let grown = SOONEST + followed / 20;
    grown.min(SLOWEST).max(retry_after.unwrap_or_default())
}

impl View {
    /// What the relay's answer says. The hosts that it lists are those that are expected to say something.
    pub fn of(status: &IntentStatus) -> Self {
        let named = &status.intent.hosts;
        let listed = status.hosts.iter();
        let listed = listed.flat_map(|(name, host)| rows(name, host));
        // A host that others were named beside has to acknowledge it as well, which is nothing to tell.
        let listed = listed.filter(|row| {
            row.state != State::NotForIt || named.is_empty() || named.contains(&row.host)
        });
        let unknown = named.iter();
        let unknown = unknown.filter(|name| !status.hosts.contains_key(*name));
        let unknown = unknown.map(|name| Row::of_host(name, State::Unknown));
        let mut rows: Vec<_> = listed.chain(unknown).collect();
        rows.sort_by(|one, other| one.key().cmp(&other.key()));
        rows.dedup_by(|one, other| one.key() == other.key());
        Self {
            intent: status.intent.clone(),
            rows,
        }
    }

    /// Whether every host has acknowledged, and every service that it is for has an outcome.
    pub fn is_over(&self) -> bool {
        self.rows.iter().all(Row::is_over)
    }

    /// Whether each service has a line of its own where at most so many are shown.
    pub fn fits(&self, most: usize) -> bool {
        self.rows.len() <= most
    }

    /// How it ended, or stands now that nobody waits any longer. `is_told` is whether each service's line has been shown, and
    /// is not needed again.
    pub fn conclusion(&self, why: Enough, is_told: bool) -> Conclusion {
        let outcomes = self.rows.iter().filter_map(Row::ended).collect();
        let failed = !self.is_over() || self.is_for_nobody() || self.unknown().next().is_some();
        Conclusion {
            ending: Ending::Applied { outcomes, failed },
            words: words::conclusion(self, why, is_told),
        }
    }

    /// Whether all that is known by now is that no service is meant.
    fn is_for_nobody(&self) -> bool {
        self.rows.iter().all(|row| row.service.is_none())
    }

    fn unknown(&self) -> impl Iterator<Item = &HostName> {
        let unknown = self.rows.iter().filter(|row| row.state == State::Unknown);
        unknown.map(|row| &row.host)
    }
}

fn rows(name: &HostName, host: &HostStatus) -> Vec<Row> {
    // What is reported counts, whether the acknowledgement named it or not.
    let mut services: BTreeSet<&ServiceName> = host.services.keys().collect();
    services.extend(host.matched.iter().flatten());
    let of_service = |service: &ServiceName| Row {
        host: name.clone(),
        service: Some(service.clone()),
        state: match host.services.get(service) {
            Some(report) => State::Reported {
                report: Box::new(report.clone()),
            },
            None => State::Acknowledged,
        },
    };
    let mut rows: Vec<_> = services.into_iter().map(of_service).collect();
    match (&host.matched, rows.is_empty()) {
        (None, _) => {
            let seen_at = host.seen_at;
            rows.push(Row::of_host(name, State::Silent { seen_at }));
        }
        (Some(_), true) => rows.push(Row::of_host(name, State::NotForIt)),
        (Some(_), false) => {}
    }
    rows
}

impl Row {
    fn of_host(name: &HostName, state: State) -> Self {
        Self {
            host: name.clone(),
            service: None,
            state,
        }
    }

    fn key(&self) -> (&HostName, Option<&ServiceName>) {
        (&self.host, self.service.as_ref())
    }

    fn is_over(&self) -> bool {
        match &self.state {
            State::Unknown | State::NotForIt => true,
            State::Silent { .. } | State::Acknowledged => false,
            State::Reported { .. } => self.ended().is_some(),
        }
    }

    /// The outcome, when nothing more will come.
    fn ended(&self) -> Option<Outcome> {
        let State::Reported { report } = &self.state else {
            return None;
        };
        report.outcome.filter(|outcome| outcome.is_terminal())
    }
}

#[cfg(test)]
mod tests;
