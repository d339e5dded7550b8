//! What an operator asks for on this host: trying a failed deploy again, and why that or going back (`roll_back`) is declined.
//!
//! Each order is done at once, to its end, or declined with nothing done.

use jiff::Timestamp;
use thiserror::Error;
use towline_protocol::{Intent, IntentId, Outcome, ServiceName};
use tracing::info;

use super::{Poller, Stop};
use crate::{
    apply::{ApplyError, InspectError},
    backup::BackupError,
    docker::EngineError,
    lock,
    plan::NoWayBack,
    select::select,
    settings::{Service, Settings},
    store::{Standing, StoreError},
};

/// What to do when a service is not known that the host's file has by now.
pub const AFTER_A_CHANGE: &str = "after a change of it, restart towline run";

/// Why nothing was done.
#[derive(Debug, Error)]
pub enum Declined {
    /// The host's file does not name it.
    #[error(
        "there is no [service.{service}] in the host's file; it has: {known} ({})",
        AFTER_A_CHANGE
    )]
    Unknown {
        /// The service.
        service: ServiceName,
        /// Those that it names.
        known: String,
    },
    /// A deploy cannot be taken to its end.
    #[error(
        "an earlier deploy of it is not at its end: the engine is out of reach, a program that it has started goes on, or \
         somebody asked to stop (the log says which); nothing else is begun before"
    )]
    Unfinished,
    /// An operator is needed first.
    #[error(
        "{service} needs an operator since {since}; see to it and run `towline resolve {service}` first"
    )]
    Blocked {
        /// The service.
        service: ServiceName,
        /// The intent that it is needed since.
        since: IntentId,
    },
    /// An operator is needed for something that came up after this was asked.
    #[error(
        "meanwhile something else went wrong with {service} (intent {since}) that needs an operator: look at it and run `towline resolve {service}` again"
    )]
    Unseen {
        /// The service.
        service: ServiceName,
        /// The intent that it is needed since.
        since: IntentId,
    },
    /// Somebody holds it off.
    #[error("{service} is {why}; wait, or run `{release}` first")]
    HeldOff {
        /// The service.
        service: ServiceName,
        /// Who does, until when, and what for.
        why: String,
        /// The command that ends it.
        release: String,
    },
    /// Too many hold it off already.
    #[error(
        "{service} is held off by {} names already, and by more it cannot be; `towline release {service} --all` ends all of them",
        lock::MOST
    )]
    TooManyLocks {
        /// The service.
        service: ServiceName,
    },
    /// Nothing has come for it, or it is forgotten.
    #[error("no intent is known for {0} that could be tried again")]
    Nothing(ServiceName),
    /// The newest intent has not failed.
    #[error("the newest intent for {service} is {}: there is nothing to try again{}", outcome.as_str(), replaced(*outcome))]
    NotFailed {
        /// The service.
        service: ServiceName,
        /// How it ended.
        outcome: Outcome,
    },
    /// The newest intent has expired, or the host's file does not let it in any more.
    #[error(
        "{service} may not be taken to its newest intent {intent} any more: it has expired, or the host's file does not allow it now"
    )]
    TooLate {
        /// The service.
        service: ServiceName,
        /// The intent.
        intent: IntentId,
    },
    /// Nobody can say whether it has expired.
    #[error(
        "intent {intent}, the newest for {service}, is from the future by this host's clock; set the clock right first"
    )]
    Undatable {
        /// The service.
        service: ServiceName,
        /// The intent.
        intent: IntentId,
    },
    /// A service before it is not at its end.
    #[error("{service} {why}, and goes on by itself when that has ended well")]
    Waits {
        /// The service.
        service: ServiceName,
        /// What it waits for, for people.
        why: String,
    },
    /// A service before it has not got there.
    #[error("{service} is not tried again: {why}; run `towline retry {before}` first")]
    Behind {
        /// The service.
        service: ServiceName,
        /// The one before it.
        before: ServiceName,
        /// How that has ended, for people.
        why: String,
    },
    /// There is no container to take back, or it may not be replaced.
    #[error(transparent)]
    Container(#[from] InspectError),
    /// There is no version to go back to.
    #[error(transparent)]
    NoWayBack(#[from] NoWayBack),
    /// Somebody has removed the version's image.
    #[error(
        "the image of {0} is not on this host any more (removed by hand, or by `docker image prune --all`): pull it by \
         its digest, or name another version by --to"
    )]
    ImageGone(String),
    /// It has no backups.
    #[error(
        "[service.{0}] has no `backup` in the host's file, so that nothing of it is backed up or restored"
    )]
    NoBackup(ServiceName),
    /// None was made yet.
    #[error(
        "no backup of {0} is there yet: one is made with each deploy, before it changes anything"
    )]
    NoneYet(ServiceName),
    /// Its data would be exchanged under it.
    #[error(
        "[service.{0}] has no `command.stop` in the host's file, so that its data would be exchanged while it may run: stop \
         it yourself and say --running, or give it `stop` and `start`"
    )]
    NotStopped(ServiceName),
    /// Its containers would go on with what was there before.
    #[error(
        "{0} is a Compose project, whose containers hold on to the files that they were started with: stop them, unpack \
         the backup by hand and start them again, as docs/guides/backups.md shows"
    )]
    HeldByContainers(ServiceName),
    /// The backup cannot be restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The engine could not do it; the one case in which something may have been touched is an interruption, which is
    /// taken to its end later.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EngineError> for Declined {
    fn from(error: EngineError) -> Self {
        Self::Apply(error.into())
    }
}

impl Declined {
    /// `service` is none of the host's file.
    pub(super) fn unknown(service: &ServiceName, settings: &Settings) -> Self {
        let names = settings.services.iter().map(|one| one.name.as_str());
        Self::Unknown {
            service: service.clone(),
            known: names.collect::<Vec<_>>().join(", "),
        }
    }
}

impl Poller {
    /// Tries the newest intent of `service` again that has failed or waits, as a further attempt, whatever version it
    /// leads to: for this try there is no quarantine. If a newer intent has come meanwhile, that one is applied.
    ///
    /// How it ended is among the outcomes; an engine that is lost leaves it for later.
    ///
    /// # Errors
    /// See [`Declined`]: nothing was done, unless it is the store that failed.
    pub async fn retry(&mut self, name: &ServiceName, stop: &Stop) -> Result<(), Declined> {
        let service = self.service(name)?;
        if self.recover(stop).await?.contains(name) {
            return Err(Declined::Unfinished);
        }
        if let Some(since) = self.store.blocked(name)? {
            let service = name.clone();
            return Err(Declined::Blocked { service, since });
        }
        self.refuse_held_off(name)?;
        let intent = self.to_retry(&service)?;
        self.check_turn(&service, &intent)?;
        info!(service = %name, intent = %intent.id, "to be tried again, as asked");
        self.store.try_again(name, &intent.id)?;
        Ok(self.serve(&service, stop).await?)
    }

    pub(super) fn service(&self, name: &ServiceName) -> Result<Service, Declined> {
        let mut services = self.settings.services.iter();
        let service = services.find(|service| service.name == *name);
        service
            .cloned()
            .ok_or_else(|| Declined::unknown(name, &self.settings))
    }

    /// The newest intent that was chosen for `service`, if it may be tried again.
    fn to_retry(&self, service: &Service) -> Result<Intent, Declined> {
        let name = || service.name.clone();
        let mut known = self.store.known(service)?;
        // Trying again ends it.
        let is_held = known.hold.take().is_some();
        let newest = known.seen.as_ref();
        let newest = newest.and_then(|seen| seen.newest_of(&known.intents));
        let intent = newest.ok_or_else(|| Declined::Nothing(name()))?.clone();
        if let Some(standing) = known.standings.get_mut(&intent.id) {
            if !may_go_better(standing, is_held) {
                let outcome = standing.outcome;
                let service = name();
                return Err(Declined::NotFailed { service, outcome });
            }
            standing.again = true;
        }
        let now = Timestamp::now();
        let selection = select(&known.situation(&self.host, service, now));
        match selection.apply {
            Some(_) => Ok(intent),
            None if selection.undatable.contains(&intent.id) => Err(Declined::Undatable {
                service: name(),
                intent: intent.id,
            }),
            None => Err(Declined::TooLate {
                service: name(),
                intent: intent.id,
            }),
        }
    }
}

/// How what was deployed is had again, which nobody can see here to have been replaced.
fn replaced(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded | Outcome::Unchanged => {
            "; where somebody has replaced it by hand, `towline deploy` of the same commit brings it back"
        }
        Outcome::Superseded
        | Outcome::Stale
        | Outcome::Expired
        | Outcome::Waiting
        | Outcome::Applying
        | Outcome::RolledBack
        | Outcome::FailedUntouched
        | Outcome::Quarantined
        | Outcome::NeedsOperator
        | Outcome::Refused => "",
    }
}

/// Whether another try could do better. A hold that is ended by it has superseded what was waiting then.
fn may_go_better(standing: &Standing, is_held: bool) -> bool {
    match standing.outcome {
        Outcome::Superseded => is_held,
        Outcome::Waiting
        | Outcome::Applying
        | Outcome::RolledBack
        | Outcome::FailedUntouched
        | Outcome::Quarantined
        | Outcome::NeedsOperator
        | Outcome::Refused => true,
        Outcome::Succeeded | Outcome::Unchanged | Outcome::Stale | Outcome::Expired => false,
    }
}
