//! Which intent a service should be taken to, and what becomes of the others. Pure.
//!
//! An intent that matches a service's rule (`rule`) reaches exactly one outcome with it, and one more for each time that
//! it is tried again. Whether a version that failed may be tried is `admission`'s. Order is by epoch and number;
//! within one workflow a run that is older than one seen before is stale, however late it arrives. Whether it is this service's
//! turn among those that an intent is for is `turn`'s. Not here: whether
//! the image is allowed (`plan`), how the outcome is kept (`store`).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use towline_protocol::{Channel, HostName, Intent, IntentId, Mark, Outcome, RunSource, Source};

use crate::{
    settings::Service,
    store::{Hold, Standing},
};

mod admission;
mod rule;
mod turn;

pub use admission::{Admission, admission};
pub use rule::{Match, matches, objection};
pub use turn::{Before, Turn, in_the_way, turn, waits_for};

/// How far the clock of who made an intent may be ahead of this host's.
const CLOCKS_APART: Duration = Duration::from_secs(10 * 60);

/// What a service has seen, so that nothing takes it back.
///
/// Kept for each service, since a run on a branch that only another service listens to says nothing about this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The channel of `newest`, whose numbers say nothing about another one's; `None` in what an older version wrote,
    /// which is the service's channel.
    #[serde(default)]
    pub channel: Option<Channel>,
    /// The newest intent that was chosen.
    pub newest: Mark,
    /// The newest run of each workflow.
    pub runs: Vec<SeenRun>,
}

/// The newest run of one workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRun {
    /// Stable identity of the repository.
    pub repository_id: u64,
    /// Stable identity of the workflow.
    pub workflow_id: u64,
    /// The run's number.
    pub run_number: u64,
    /// The run's attempt.
    pub run_attempt: u64,
}

impl Seen {
    /// What counts on `channel`: the newest intent of another one does not.
    fn on(mut self, channel: &Channel) -> Self {
        if self.channel.as_ref().is_some_and(|other| other != channel) {
            self.newest = Mark::NONE;
        }
        self.channel = Some(channel.clone());
        self
    }

    /// The one of `intents` that was chosen last, if it is among them.
    pub fn newest_of<'a>(&self, intents: &'a [Intent]) -> Option<&'a Intent> {
        let is_newest = |intent: &&Intent| {
            let same = self
                .channel
                .as_ref()
                .is_none_or(|channel| *channel == intent.channel);
            same && place(intent) == self.newest
        };
        intents.iter().find(is_newest)
    }

    fn of_workflow(&self, run: &RunSource) -> Option<&SeenRun> {
        self.runs.iter().find(|seen| {
            (seen.repository_id, seen.workflow_id) == (run.repository_id, run.workflow_id)
        })
    }

    /// Whether a later run of the same workflow was seen.
    fn is_past(&self, run: &RunSource) -> bool {
        self.of_workflow(run).is_some_and(|seen| {
            (seen.run_number, seen.run_attempt) > (run.run_number, run.run_attempt)
        })
    }

    fn note(&mut self, run: &RunSource) {
        if self.is_past(run) {
            return;
        }
        self.runs.retain(|seen| {
            (seen.repository_id, seen.workflow_id) != (run.repository_id, run.workflow_id)
        });
        self.runs.push(SeenRun {
            repository_id: run.repository_id,
            workflow_id: run.workflow_id,
            run_number: run.run_number,
            run_attempt: run.run_attempt,
        });
    }
}

/// What there is to choose from.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// This host.
    pub host: &'a HostName,
    /// The service to choose for.
    pub service: &'a Service,
    /// The intents of its channel, ascending by epoch and number.
    pub intents: &'a [Intent],
    /// How they stand with this service.
    pub standings: &'a BTreeMap<IntentId, Standing>,
    /// What the service has seen; `None` for a new one.
    pub seen: Option<&'a Seen>,
    /// What an operator took the service back for, if so.
    pub hold: Option<&'a Hold>,
    /// The time.
    pub now: Timestamp,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The intent to apply, if any.
    pub apply: Option<Intent>,
    /// The intents that are settled without touching anything.
    pub settled: Vec<Settled>,
    /// The intents of which nobody can say whether they have expired, since this host's clock is behind.
    pub undatable: Vec<IntentId>,
    /// What the service has seen now.
    pub seen: Seen,
}

/// An intent that is settled without touching anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The intent.
    pub intent: IntentId,
    /// `superseded`, `stale`, `expired` or `refused`.
    pub outcome: Outcome,
    /// Why, for people.
    pub message: String,
}

/// Decides what becomes of the intents that `service` has not settled yet.
pub fn select(situation: &Situation<'_>) -> Selection {
    let channel = &situation.service.rule.channel;
    let mut seen = situation.seen.cloned().unwrap_or_default().on(channel);
    let mut settled = Vec::new();
    let mut left: Vec<&Intent> = Vec::new();
    let mut again: Option<&Intent> = None;
    let mut undatable = Vec::new();
    for intent in situation.intents {
        if is_settled(situation, intent) {
            continue;
        }
        let verdict = match matches(situation.host, situation.service, intent) {
            Match::No => continue,
            Match::Refused(reason) => Some((Outcome::Refused, reason)),
            Match::Yes if is_undatable(intent, situation.now) => {
                undatable.push(intent.id.clone());
                continue;
            }
            Match::Yes => too_late(situation, &seen, intent).or_else(|| held(situation, intent)),
        };
        if is_again(situation, intent) {
            // Its last try has its outcome already, so that it only ever wins.
            again = Some(intent).filter(|_| verdict.is_none()).or(again);
            continue;
        }
        if let Source::WorkflowRun(run) = &intent.source {
            seen.note(run);
        }
        match verdict {
            Some((outcome, message)) => settled.push(Settled {
                intent: intent.id.clone(),
                outcome,
                message,
            }),
            None => left.push(intent),
        }
    }
    let after = |place: Mark| left.last().is_none_or(|last| place > self::place(last));
    let again = again.filter(|again| place(again) >= seen.newest && after(place(again)));
    let winner = again.or_else(|| left.pop_if(|last| place(last) >= seen.newest));
    seen.newest = winner.map_or(seen.newest, place);
    settled.extend(left.into_iter().map(|intent| Settled {
        intent: intent.id.clone(),
        outcome: Outcome::Superseded,
        message: format!("number {} came after it", seen.newest.seq),
    }));
    Selection {
        apply: winner.cloned(),
        settled,
        undatable,
        seen,
    }
}

/// Whether a clock that is behind keeps this host from knowing whether the intent has expired. It waits then.
fn is_undatable(intent: &Intent, now: Timestamp) -> bool {
    let latest = now.saturating_add(CLOCKS_APART).unwrap_or(Timestamp::MAX);
    intent.expires_at.is_some() && intent.created_at > latest
}

/// Whether `service` has still to say what becomes of `intent`, with which it stands at `outcome`.
pub fn is_open(
    host: &HostName,
    service: &Service,
    intent: &Intent,
    outcome: Option<Outcome>,
) -> bool {
    let is_settled = outcome.is_some_and(Outcome::is_terminal);
    !is_settled && matches(host, service, intent) != Match::No
}

fn is_settled(situation: &Situation<'_>, intent: &Intent) -> bool {
    situation
        .standings
        .get(&intent.id)
        .is_some_and(|standing| standing.outcome.is_terminal() && !standing.again)
}

/// Whether the last try of `intent` has ended and it is to be tried once more.
fn is_again(situation: &Situation<'_>, intent: &Intent) -> bool {
    situation
        .standings
        .get(&intent.id)
        .is_some_and(|standing| standing.outcome.is_terminal() && standing.again)
}

fn too_late(situation: &Situation<'_>, seen: &Seen, intent: &Intent) -> Option<(Outcome, String)> {
    if let Source::WorkflowRun(run) = &intent.source
        && let Some(newer) = seen.of_workflow(run)
        && seen.is_past(run)
    {
        let message = format!(
            "run {} attempt {} is older than run {} attempt {}, which was seen before",
            run.run_number, run.run_attempt, newer.run_number, newer.run_attempt
        );
        return Some((Outcome::Stale, message));
    }
    let expires_at = intent.expires_at.filter(|at| *at <= situation.now)?;
    let message = format!(
        "expired at {expires_at}; this host's clock says {}",
        situation.now
    );
    Some((Outcome::Expired, message))
}

/// What was known when an operator took the service back is not applied any more.
fn held(situation: &Situation<'_>, intent: &Intent) -> Option<(Outcome, String)> {
    let hold = situation.hold?;
    let is_held = hold.channel == intent.channel && place(intent) <= hold.place;
    is_held.then(|| {
        let message = format!(
            "known when the service was {} at {}; the next intent is applied again",
            hold.why, hold.since
        );
        (Outcome::Superseded, message)
    })
}

fn place(intent: &Intent) -> Mark {
    Mark {
        epoch: intent.epoch,
        seq: intent.seq,
    }
}

#[cfg(test)]
mod tests;
