//! What the loop lets others know of itself while it works: by the log and by the control socket.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::{mpsc::UnboundedSender, watch};
use towline_protocol::{IntentId, Outcome, Report, ServiceName, Sha};
use tracing::{error, info, warn};

use crate::{
    apply::Progress,
    control::{
        board::{Board, Published},
        message::Line,
    },
    lock::Lock,
    status::{DoorbellState, DoorbellStatus, PollerStatus, RelayStatus, Underway},
    terminal::Terminal,
};

/// How often it is said what goes on.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

/// Everything that others may know.
#[derive(Debug)]
pub(super) struct Notices {
    since: Timestamp,
    answered_at: Option<Timestamp>,
    trouble: Option<String>,
    doorbell: DoorbellStatus,
    published: watch::Sender<Option<Arc<Published>>>,
    underway: watch::Sender<Option<Underway>>,
    ordered: watch::Sender<Option<ServiceName>>,
    locks: watch::Sender<BTreeMap<ServiceName, Vec<Lock>>>,
    /// Who has given the order that is carried out, and hears of each step.
    client: Option<UnboundedSender<Line>>,
    /// What has come to an end, for people.
    ends: Vec<String>,
    terminal: Terminal,
    /// When was last said what goes on.
    shown: Cell<Option<Instant>>,
}

impl Notices {
    /// Nothing is known yet; the process runs since `since`.
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            since,
            answered_at: None,
            trouble: None,
            doorbell: DoorbellStatus {
                state: DoorbellState::Off,
                since: None,
                trouble: None,
            },
            published: watch::Sender::new(None),
            underway: watch::Sender::new(None),
            ordered: watch::Sender::new(None),
            locks: watch::Sender::new(BTreeMap::new()),
            client: None,
            ends: Vec::new(),
            terminal: Terminal::default(),
            shown: Cell::new(None),
        }
    }

    /// Shows what goes on at this terminal.
    pub(super) fn show_at(&mut self, terminal: Terminal) {
        self.terminal = terminal;
    }

    /// Lets a client hear of each step from now on; with `None` nobody.
    pub(super) fn listen(&mut self, client: Option<UnboundedSender<Line>>) {
        self.client = client;
        self.ends.clear();
    }

    /// Where the server of the control socket looks.
    pub(super) fn board(&self) -> Board {
        Board {
            published: self.published.subscribe(),
            underway: self.underway.subscribe(),
            ordered: self.ordered.subscribe(),
            locks: self.locks.subscribe(),
        }
    }

    /// Where it is shown what holds deploys off.
    pub(super) fn locks(&self) -> watch::Sender<BTreeMap<ServiceName, Vec<Lock>>> {
        self.locks.clone()
    }

    /// An operator's order is carried out for this service now, or for none.
    pub(super) fn note_ordered(&self, service: Option<ServiceName>) {
        self.ordered.send_replace(service);
    }

    /// Whether anybody can look.
    pub(super) fn are_read(&self) -> bool {
        self.published.receiver_count() > 0
    }

    /// Publishes how things stand, with what only this process knows.
    pub(super) fn publish(&self, mut published: Published) {
        let status = &mut published.status;
        status.poller = Some(PollerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.since,
        });
        status.relay = RelayStatus {
            answered_at: self.answered_at,
            trouble: self.trouble.clone(),
            doorbell: Some(self.doorbell.clone()),
            url: std::mem::take(&mut status.relay.url),
        };
        self.published.send_replace(Some(Arc::new(published)));
    }

    /// What was published last.
    pub(super) fn published(&self) -> Option<Arc<Published>> {
        self.published.borrow().clone()
    }

    /// The relay has answered a poll, or why it has not.
    pub(super) fn note_relay(&mut self, trouble: Option<String>) {
        if trouble.is_none() {
            self.answered_at = Some(Timestamp::now());
        }
        self.trouble = trouble;
    }

    /// Whether the relay has answered a poll of this process.
    pub(super) fn has_answer(&self) -> bool {
        self.answered_at.is_some()
    }

    /// The doorbell stands so.
    pub(super) fn note_doorbell(&mut self, doorbell: DoorbellStatus) {
        self.doorbell = doorbell;
    }

    /// Says what is done just now for an operator.
    pub(super) fn step(&self, service: &ServiceName, what: &str) {
        info!(%service, "{what}");
        if let Some(client) = &self.client {
            // Whoever has left needs not hear it.
            let _ = client.send(Line::Step(format!("{service}: {what}")));
        }
    }

    /// A deploy of `intent` to `service` begins.
    pub(super) fn begin(&self, service: &ServiceName, intent: &IntentId, sha: Option<&Sha>) {
        self.underway.send_replace(Some(Underway {
            service: service.clone(),
            intent: intent.clone(),
            sha: sha.cloned(),
            step: "begun".to_owned(),
            since: Timestamp::now(),
        }));
    }

    /// A step of the deploy under way is done, or goes on.
    pub(super) fn tell(&self, service: &ServiceName, progress: &Progress) {
        let told = progress.to_string();
        if progress.is_passing() {
            self.show(service, &told);
        } else {
            self.terminal.clear();
            info!(service = %service, "{told}");
            self.pass_on(Line::Step(format!("{service}: {told}")));
        }
        self.underway.send_modify(|underway| {
            if let Some(underway) = underway {
                underway.step = told;
            }
        });
    }

    /// Shows what goes on, to who looks. A log would only grow by it.
    fn show(&self, service: &ServiceName, what: &str) {
        let now = Instant::now();
        let shown = self.shown.get();
        if shown.is_some_and(|at| now.saturating_duration_since(at) < SHOWN_EVERY) {
            return;
        }
        self.shown.set(Some(now));
        let text = format!("{service}: {what}");
        self.terminal.show(&text);
        self.pass_on(Line::Now(text));
    }

    /// A deploy of `service` waits for something else than its image: why.
    pub(super) fn warn(&mut self, service: &ServiceName, why: &str) {
        warn!(%service, "{why}");
        self.remember(format!("not done yet: {why}"));
    }

    /// A try has ended, or waits.
    pub(super) fn tell_end(&mut self, report: &Report) {
        log_end(report);
        self.note_end(report.outcome, &report.message);
    }

    /// A try stands as it stood before, which the log has said already.
    pub(super) fn note_end(&mut self, outcome: Option<Outcome>, message: &str) {
        let outcome = outcome.map_or("", Outcome::as_str);
        self.remember(format!("{outcome}: {message}"));
    }

    /// What has come to an end since this was last asked.
    pub(super) fn take_ends(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ends)
    }

    /// Nothing is under way any more.
    pub(super) fn end(&self) {
        self.terminal.clear();
        self.underway.send_replace(None);
    }

    /// Without an order only the last end is kept: `run` goes on for years.
    fn remember(&mut self, end: String) {
        if self.client.is_none() {
            self.ends.clear();
        }
        self.ends.push(end);
    }

    fn pass_on(&self, line: Line) {
        if let Some(client) = &self.client {
            // Who has left does not hear it.
            let _ = client.send(line);
        }
    }
}

/// How many of a failed version's last lines the host's log gets; the relay gets more.
const LAST_LINES: usize = 5;

fn last_lines(log: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(LAST_LINES);
    lines.into_iter().skip(skipped)
}

fn log_end(report: &Report) {
    let service = report.service.as_ref().map_or("", |name| name.as_str());
    let outcome = report.outcome.map_or("", Outcome::as_str);
    match report.outcome {
        Some(Outcome::NeedsOperator) => error!(service = %service, "{outcome}: {}", report.message),
        Some(
            Outcome::RolledBack
            | Outcome::FailedUntouched
            | Outcome::Quarantined
            | Outcome::Refused,
        ) => {
            warn!(service = %service, "{outcome}: {}", report.message);
            for line in last_lines(&report.log_tail) {
                warn!(service = %service, "the failed version said: {line}");
            }
        }
        Some(
            Outcome::Waiting
            | Outcome::Applying
            | Outcome::Succeeded
            | Outcome::Unchanged
            | Outcome::Superseded
            | Outcome::Stale
            | Outcome::Expired,
        )
        | None => info!(service = %service, "{outcome}: {}", report.message),
    }
}
