//! A host with one service that keeps what was decided as the store does.

mod again;
mod order;
mod properties;
mod rules;
mod sources;
mod turn;

use proptest::prelude::*;
use towline_protocol::Image;

use super::*;
use crate::{
    store::Quarantined,
    testing::{digest, intent, run, service},
    uptime::Waited,
};

/// A host with one service, which keeps what was decided as the store does.
struct Host {
    name: HostName,
    service: Service,
    intents: Vec<Intent>,
    standings: BTreeMap<IntentId, Standing>,
    seen: Option<Seen>,
    hold: Option<Hold>,
    applied: Vec<u64>,
}

impl Host {
    fn new(more: &str) -> Self {
        Self {
            name: "pi".parse().unwrap(),
            service: service(more),
            intents: vec![],
            standings: BTreeMap::new(),
            seen: None,
            hold: None,
            applied: vec![],
        }
    }

    fn receive(&mut self, intents: impl IntoIterator<Item = Intent>) -> &mut Self {
        self.intents.extend(intents);
        self.intents.sort_by_key(place);
        self
    }

    fn choose(&self) -> Selection {
        select(&self.situation())
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            host: &self.name,
            service: &self.service,
            intents: &self.intents,
            standings: &self.standings,
            seen: self.seen.as_ref(),
            hold: self.hold.as_ref(),
            now: "2026-11-20T15:00:00Z".parse().unwrap(),
        }
    }

    fn stands(&mut self, id: &IntentId, outcome: Outcome) {
        let standing = Standing {
            attempt: 1,
            outcome,
            since: Timestamp::UNIX_EPOCH,
            waited: Waited::default(),
            again: false,
            asked: false,
            interruptions: 0,
            stopped_by: None,
            why: String::new(),
        };
        let before = self.standings.insert(id.clone(), standing);
        assert!(
            before.is_none_or(|before| !before.outcome.is_terminal()),
            "two outcomes for {id}"
        );
    }

    /// Chooses, and applies what was chosen with `outcome`.
    fn work(&mut self, outcome: Outcome) -> Selection {
        let selection = self.choose();
        self.seen = Some(selection.seen.clone());
        for settled in &selection.settled {
            self.stands(&settled.intent, settled.outcome);
        }
        if let Some(intent) = &selection.apply {
            self.stands(&intent.id, outcome);
            self.applied.push(intent.seq);
        }
        selection
    }

    fn outcome_of(&self, seq: u64) -> Option<Outcome> {
        let intent = self.intents.iter().find(|intent| intent.seq == seq)?;
        Some(self.standings.get(&intent.id)?.outcome)
    }
}

fn of_run(seq: u64, number: u64, attempt: u64) -> Intent {
    Intent {
        source: Source::WorkflowRun(run(number, attempt)),
        ..intent(7, seq)
    }
}

fn manual(seq: u64) -> Intent {
    Intent {
        source: Source::Manual {
            by: "night".to_owned(),
            reason: String::new(),
        },
        ..intent(7, seq)
    }
}
