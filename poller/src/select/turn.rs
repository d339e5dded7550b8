//! Whether an intent has its turn with a service that comes after others (`after`). Pure.
//!
//! All of it follows from how the intent stands with the services before, which is on record: neither a restart nor the
//! order in which things are noticed changes anything. A service that the intent is not for is not waited for.

use towline_protocol::{Intent, Outcome, ServiceName};

use super::{Match, Situation, matches, place, select};

/// A service that comes before another one, and how things stand with it.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// What there is to choose from for it.
    pub situation: Situation<'a>,
    /// Whether a deploy of it is not at its end.
    pub is_unfinished: bool,
}

/// What the services before have come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is in the way.
    Now,
    /// These are not at their ends, in their order.
    Later(Vec<ServiceName>),
    /// This one has not got there: the first of them in their order.
    Never {
        /// The service.
        before: ServiceName,
        /// How it ended there.
        outcome: Outcome,
    },
}

/// How far one of the services before is.
enum Stand {
    Passed,
    Open,
    Failed(Outcome),
}

/// Whether `intent` has its turn with the service that comes after all of `before`, which are in their order.
pub fn turn(intent: &Intent, before: &[Before<'_>]) -> Turn {
    let mut open = Vec::new();
    for one in before {
        let name = &one.situation.service.name;
        match stand(intent, one) {
            Stand::Passed => {}
            Stand::Open => open.push(name.clone()),
            Stand::Failed(outcome) => {
                let before = name.clone();
                return Turn::Never { before, outcome };
            }
        }
    }
    match open.is_empty() {
        true => Turn::Now,
        false => Turn::Later(open),
    }
}

fn stand(intent: &Intent, before: &Before<'_>) -> Stand {
    let situation = &before.situation;
    // What it may not take at all is no failure of it.
    if matches(situation.host, situation.service, intent) != Match::Yes {
        return Stand::Passed;
    }
    if before.is_unfinished {
        return Stand::Open;
    }
    of_standing(situation, intent).unwrap_or_else(|outcome| instead(situation, intent, outcome))
}

/// How far the service is with `intent`, or the outcome by which it was left for another one.
fn of_standing(situation: &Situation<'_>, intent: &Intent) -> Result<Stand, Outcome> {
    let Some(standing) = situation.standings.get(&intent.id) else {
        return Ok(Stand::Open);
    };
    if standing.again && standing.outcome.is_terminal() {
        // What something newer has overtaken is not tried again, and nothing more is told of it.
        let next = select(situation).apply;
        let is_next = next.is_some_and(|next| next.id == intent.id);
        return is_next.then_some(Stand::Open).ok_or(standing.outcome);
    }
    match standing.outcome {
        Outcome::Waiting | Outcome::Applying => Ok(Stand::Open),
        Outcome::Succeeded | Outcome::Unchanged => Ok(Stand::Passed),
        left @ (Outcome::Superseded | Outcome::Stale) => Err(left),
        failed @ (Outcome::RolledBack
        | Outcome::FailedUntouched
        | Outcome::NeedsOperator
        | Outcome::Expired
        | Outcome::Quarantined
        | Outcome::Refused) => Ok(Stand::Failed(failed)),
    }
}

/// What counts is the intent that was chosen instead of the one left with `outcome`, unless the service is held at what was
/// there before.
fn instead(situation: &Situation<'_>, intent: &Intent, outcome: Outcome) -> Stand {
    let seen = select(situation).seen;
    let chosen = seen.newest_of(situation.intents);
    // A run that is stale may have come after the newer one.
    let is_newer = |chosen: &&Intent| {
        chosen.id != intent.id && (outcome == Outcome::Stale || place(chosen) > place(intent))
    };
    match chosen.filter(is_newer) {
        Some(chosen) => of_standing(situation, chosen).unwrap_or_else(Stand::Failed),
        None => Stand::Failed(outcome),
    }
}

/// What is waited for, for people.
pub fn waits_for(before: &[ServiceName]) -> String {
    let names: Vec<_> = before.iter().map(|name| name.as_str()).collect();
    let comes = if names.len() == 1 { "comes" } else { "come" };
    format!("waits for {}, which {comes} before it", names.join(" and "))
}

/// How the service before has ended, for people.
pub fn in_the_way(before: &ServiceName, outcome: Outcome) -> String {
    let how = match outcome {
        Outcome::RolledBack => "was rolled back",
        Outcome::NeedsOperator => "needs an operator",
        Outcome::Quarantined => "has not tried it again (quarantined)",
        Outcome::Refused => "has refused it",
        Outcome::Expired => "got it too late",
        Outcome::Superseded | Outcome::Stale => "was not taken to it",
        Outcome::FailedUntouched
        | Outcome::Waiting
        | Outcome::Applying
        | Outcome::Succeeded
        | Outcome::Unchanged => "has failed",
    };
    format!("{before}, which comes before it, {how}")
}
