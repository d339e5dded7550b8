//! What the state directory knows of each service.

use jiff::{SignedDuration, Timestamp};
use towline_protocol::{HostName, Intent, IntentId, Outcome};

use super::{
    Deployed, EngineStatus, FORMAT, Held, HeldOff, Last, Pending, PendingState, RelayStatus,
    ReportsStatus, ServiceStatus, Status,
};
use crate::{
    backoff::COMMIT_WAIT,
    history::Entry,
    lock::{self, Lock},
    select::{Turn, select, waits_for},
    settings::{Choice, Service, Settings, Work},
    store::{HISTORY, JournalEntry, Standing, Store, StoreError},
    uptime::{Awaited, Moment, Uptime},
};

impl Status {
    /// What `store` knows at `now`. Neither the relay nor the engine is asked.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn recorded(
        store: &Store,
        settings: &Settings,
        host: &HostName,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let journals = store.open_journals()?;
        let services = settings.services.iter().map(|service| {
            let journal = journals.iter().find(|open| open.service == service.name);
            recorded(store, settings, service, host, journal, now)
        });
        Ok(Self {
            format: FORMAT,
            at: now,
            host: host.clone(),
            poller: None,
            relay: RelayStatus {
                doorbell: None,
                url: settings.relay.url.to_string(),
                answered_at: None,
                trouble: None,
            },
            reports: ReportsStatus {
                unsent: store.unsent()?,
                refused: store.parked()?,
            },
            engine: EngineStatus::default(),
            services: services.collect::<Result<_, _>>()?,
        })
    }
}

fn recorded(
    store: &Store,
    settings: &Settings,
    service: &Service,
    host: &HostName,
    journal: Option<&JournalEntry>,
    now: Timestamp,
) -> Result<ServiceStatus, StoreError> {
    let name = &service.name;
    let container = match &service.work {
        Work::Docker { container, .. } => Some(container),
        Work::Parts(_) => None,
    };
    let parts = match &service.work {
        Work::Docker { .. } => None,
        Work::Parts(parts) => Some(parts.clone()),
    };
    let quarantine = store.quarantine(name)?;
    let moment = Moment {
        at: now,
        up: Uptime::now(),
    };
    let locks = store.locks().of(name, &moment)?;
    let running = store.running(name)?;
    let placed = running.as_ref().and_then(|running| running.placed.clone());
    let deployed = running.map(|running| Deployed {
        sha: running.side.sha,
        digest: running.side.digest,
        intent: running.intent,
        since: running.since,
    });
    Ok(ServiceStatus {
        name: name.clone(),
        kind: service.work.kind().to_owned(),
        container: match container {
            Some(Choice::Name(name)) => Some(name.clone()),
            Some(Choice::Label(_)) | None => None,
        },
        label: match container {
            Some(Choice::Label(label)) => Some(label.to_string()),
            Some(Choice::Name(_)) | None => None,
        },
        deployed,
        unsure: store.is_unsure(name)?,
        observed: None,
        replicas: Vec::new(),
        containers: None,
        missing: Vec::new(),
        checkout: None,
        parts,
        placed,
        pending: pending(store, settings, service, host, journal, &locks, &moment)?,
        last: last(store, service)?,
        quarantined: quarantine.into_iter().map(|one| one.version).collect(),
        held: store.hold(name)?.map(|hold| Held {
            since: hold.since,
            why: hold.why,
        }),
        locks: locks
            .iter()
            .map(|lock| HeldOff::of(lock, &moment))
            .collect(),
    })
}

const UNDATABLE: &str =
    "it is from the future by this host's clock; it waits until the clock is right";

/// What is to be done for `service`: what was interrupted, else what an operator must see to, else what `select` says. That one waits
/// while there are `locks`.
fn pending(
    store: &Store,
    settings: &Settings,
    service: &Service,
    host: &HostName,
    journal: Option<&JournalEntry>,
    locks: &[Lock],
    now: &Moment,
) -> Result<Option<Pending>, StoreError> {
    let known = store.known(service)?;
    let standings = &known.standings;
    let of = |state, id: &IntentId, why: String| {
        let intent = known.intents.iter().find(|intent| intent.id == *id);
        let sha = intent.and_then(|intent: &Intent| intent.revision.sha.clone());
        let since = standings.get(id).map(|standing| standing.since);
        Pending {
            state,
            intent: id.clone(),
            sha,
            why,
            since,
            until: None,
        }
    };
    let why = |id| standings.get(id).map_or("", |standing| &standing.why);
    if let Some(entry) = journal {
        let why = "interrupted in the middle; it is taken to its end when towline runs".to_owned();
        return Ok(Some(of(PendingState::Interrupted, &entry.intent, why)));
    }
    if let Some(id) = store.blocked(&service.name)? {
        let why = format!(
            "{}; see to it, then run `towline resolve {}`",
            told(why(&id), "an operator is needed"),
            service.name
        );
        return Ok(Some(of(PendingState::NeedsOperator, &id, why)));
    }
    let selection = select(&known.situation(host, service, now.at));
    let Some(intent) = selection.apply else {
        let undatable = selection.undatable.last();
        return Ok(undatable.map(|id| of(PendingState::Waiting, id, UNDATABLE.to_owned())));
    };
    if let Some(why) = lock::told(locks, now) {
        return Ok(Some(Pending {
            until: locks.iter().map(|lock| lock.until(now)).max(),
            ..of(PendingState::Waiting, &intent.id, why)
        }));
    }
    if let Turn::Later(before) = store.turn(host, settings, service, &intent, now.at)? {
        let why = waits_for(&before);
        return Ok(Some(of(PendingState::Waiting, &intent.id, why)));
    }
    let waits = |standing: &&Standing| standing.outcome == Outcome::Waiting;
    Ok(Some(match standings.get(&intent.id).filter(waits) {
        Some(standing) => Pending {
            until: until(service, standing, now.at),
            ..of(
                PendingState::Waiting,
                &intent.id,
                told(&standing.why, "its image is not there yet").to_owned(),
            )
        },
        None => of(
            PendingState::Queued,
            &intent.id,
            "its turn has not come".to_owned(),
        ),
    }))
}

/// How the last try ended: what was settled without one says nothing about the service.
fn last(store: &Store, service: &Service) -> Result<Option<Last>, StoreError> {
    let past = store.history(Some(&service.name), HISTORY)?;
    let entry = past.into_iter().filter_map(Entry::of).find(Entry::is_try);
    Ok(entry.map(|entry| Last {
        outcome: entry.outcome,
        intent: entry.intent,
        at: entry.at,
        message: entry.message,
    }))
}

fn told<'a>(why: &'a str, otherwise: &'a str) -> &'a str {
    if why.is_empty() { otherwise } else { why }
}

/// When the wait for an image or a commit ends, if this host stays on; `None` when it waits for as long as it takes.
fn until(service: &Service, standing: &Standing, now: Timestamp) -> Option<Timestamp> {
    let waited = &standing.waited;
    waited.at.as_ref()?;
    let wait = match waited.what {
        Awaited::Image => service.image_wait,
        Awaited::Commit => COMMIT_WAIT,
    };
    let waited = waited.until(Some(Uptime::now())).duration();
    let left = SignedDuration::try_from(wait.saturating_sub(waited)).ok()?;
    now.checked_add(left).ok()
}
