//! The hub's hold on the day's counts: they are written beside the work, and hinder none of it.

use worker::console_error;

use super::{Hub, Parts, now};
use crate::{now_ms, tally::Event};

impl Hub {
    /// Counts what was done, and writes the counts when it is time to. A hub without its database counts
    /// nothing.
    pub(super) fn note(&self, event: Event) {
        let Ok(parts) = self.parts() else {
            return;
        };
        parts.count(event);
        let due = parts.tally.borrow_mut().due(now_ms());
        if let Some(kept) = due
            && let Err(fault) = parts.store.save_tally(&kept)
        {
            console_error!("the day's counts: {fault}");
        }
    }
}

impl Parts {
    /// Counts an event; it is written with a later one.
    pub(super) fn count(&self, event: Event) {
        if let Ok(now) = now() {
            self.tally.borrow_mut().count(event, now);
        }
    }
}
