//! Everything that is known of one service before something is chosen for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use towline_protocol::{HostName, Intent, IntentId, Outcome, ServiceName};

use super::{Hold, Standing, Store, StoreError};
use crate::{
    select::{Before, Seen, Situation, Turn, turn},
    settings::{Service, Settings},
};

/// How many of the last ends, the newest first, are looked through for one that says what is in place.
const LOOKED_THROUGH: u32 = 50;

/// What is known of one service.
#[derive(Clone, Debug)]
pub struct Known {
    /// The intents of its channel, ascending by epoch and number.
    pub intents: Vec<Intent>,
    /// How they stand with it.
    pub standings: BTreeMap<IntentId, Standing>,
    /// What it has seen; `None` for a new one.
    pub seen: Option<Seen>,
    /// What an operator took it back for, if so.
    pub hold: Option<Hold>,
}

impl Store {
    /// What is known of `service`.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn known(&self, service: &Service) -> Result<Known, StoreError> {
        let name = &service.name;
        Ok(Known {
            intents: self.intents(&service.rule.channel)?,
            standings: self.standings(name)?,
            seen: self.seen(name)?,
            hold: self.hold(name)?,
        })
    }

    /// Whether `intent` has its turn with `service` on `host` at `now`, by how it stands with the services before.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn turn(
        &self,
        host: &HostName,
        settings: &Settings,
        service: &Service,
        intent: &Intent,
        now: Timestamp,
    ) -> Result<Turn, StoreError> {
        let services = settings.before(service);
        if services.is_empty() {
            return Ok(Turn::Now);
        }
        let known = services.iter().map(|before| self.known(before));
        let known = known.collect::<Result<Vec<_>, _>>()?;
        let open = self.open_journals()?;
        let before = services.iter().zip(&known).map(|(service, known)| Before {
            situation: known.situation(host, service, now),
            is_unfinished: open.iter().any(|entry| entry.service == service.name),
        });
        Ok(turn(intent, &before.collect::<Vec<_>>()))
    }

    /// Whether an operator was needed for `service` since the last deploy that took effect, so that nobody knows what is in
    /// place, also once it was seen to.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn is_unsure(&self, service: &ServiceName) -> Result<bool, StoreError> {
        // The newest first.
        let ends = self.history(Some(service), LOOKED_THROUGH)?;
        let mut ends = ends.iter().filter_map(|past| past.report.outcome);
        let last = ends.find(|outcome| says_what_is_there(*outcome));
        Ok(last == Some(Outcome::NeedsOperator))
    }
}

impl Known {
    /// What there is to choose from for `service`, of which this is known, on `host` at `now`.
    pub fn situation<'a>(
        &'a self,
        host: &'a HostName,
        service: &'a Service,
        now: Timestamp,
    ) -> Situation<'a> {
        Situation {
            host,
            service,
            intents: &self.intents,
            standings: &self.standings,
            seen: self.seen.as_ref(),
            hold: self.hold.as_ref(),
            now,
        }
    }
}

/// Whether what is in place is known by such an end, or is known not to be.
fn says_what_is_there(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Succeeded | Outcome::Unchanged | Outcome::RolledBack | Outcome::NeedsOperator => {
            true
        }
        Outcome::FailedUntouched
        | Outcome::Waiting
        | Outcome::Applying
        | Outcome::Superseded
        | Outcome::Stale
        | Outcome::Expired
        | Outcome::Quarantined
        | Outcome::Refused => false,
    }
}
