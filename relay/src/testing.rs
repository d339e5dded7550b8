//! What several tests of this crate begin with: a cause, a store, a report.

use std::rc::Rc;

use jiff::Timestamp;
use towline_protocol::{IntentId, Outcome, Report, Revision, Side, Source};

use crate::{
    gate::Candidate,
    hub::{sql::memory::Memory, store::Store},
};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A store on a database of its own, in memory.
pub(crate) fn store() -> Store {
    Store::open(Rc::new(Memory::new().unwrap()), 1000).unwrap()
}

/// What an operator asks for on a channel.
pub(crate) fn candidate(channel: &str, cause: &str) -> Candidate {
    Candidate {
        dedupe_key: cause.to_owned(),
        channel: channel.parse().unwrap(),
        expires_in: None,
        source: Source::Manual {
            by: "ops".to_owned(),
            reason: String::new(),
        },
        revision: Revision::default(),
        image: None,
        service: None,
        hosts: Vec::new(),
    }
}

/// A report about one run.
pub(crate) fn report(service: Option<&str>, attempt: u32, outcome: Option<Outcome>) -> Report {
    Report {
        intent: IntentId::of_key("run:1:2:3"),
        service: service.map(|name| name.parse().unwrap()),
        attempt,
        outcome,
        started_at: at(0),
        finished_at: None,
        gate: None,
        from: Side::default(),
        to: Side::default(),
        message: String::new(),
        log_tail: String::new(),
        steps: Vec::new(),
        matched: Vec::new(),
        order: None,
    }
}
