//! What the state has against a deploy, whatever the rest of its plan: an operator is needed, or has taken the service back,
//! somebody holds it off, or the version failed here. A plan is that of a new intent, and those that are here already may not be applied.

use towline_protocol::{Intent, Mark};

use crate::{
    apply::{Job, held},
    lock,
    select::objection,
    settings::Service,
    store::{Hold, Store, StoreError},
    uptime::Moment,
    version::VersionId,
};

/// Why nothing is deployed to a service now, if an operator is needed for it.
pub(super) fn blocked(store: &Store, service: &Service) -> Result<Option<String>, StoreError> {
    let name = &service.name;
    let since = store.blocked(name)?;
    Ok(since.map(|intent| {
        format!(
            "an operator is needed since intent {intent}: nothing is deployed until `towline resolve {name}`; what follows is \
             for then"
        )
    }))
}

/// That somebody holds the service off, if so.
pub(super) fn held_off(store: &Store, service: &Service) -> Result<Option<String>, StoreError> {
    let (name, now) = (&service.name, Moment::now());
    let locks = store.locks().of(name, &now)?;
    let release = lock::release(name, &locks);
    let each: Vec<_> = locks.iter().map(|lock| lock.told(&now)).collect();
    let each = each.join(", and ");
    Ok((!each.is_empty())
        .then(|| format!("{each}; what follows is for then, or for after `{release}`")))
}

/// That an operator took the service back: a problem where all intents of the commit came before that, else for who reads it.
pub(super) fn taken_back(
    store: &Store,
    service: &Service,
    asked: &Intent,
) -> Result<Option<Result<String, String>>, StoreError> {
    let Some(hold) = store.hold(&service.name)? else {
        return Ok(None);
    };
    let intents = store.intents(&service.rule.channel)?;
    let its = intents
        .iter()
        .filter(|intent| intent.revision.sha == asked.revision.sha && is_for(intent, service));
    let newest = its.map(place).max();
    let came_before = newest.is_some_and(|newest| newest <= hold.place);
    let Hold { since, why, .. } = &hold;
    Ok(Some(if came_before && hold.channel == asked.channel {
        Err(format!(
            "held since {since:.0}: {why}; this commit's intent came before, and nothing is deployed until a newer one comes"
        ))
    } else {
        Ok(format!(
            "since {since:.0}, until a newer intent comes: {why}; this is the plan of a newer one"
        ))
    }))
}

/// That the version is in quarantine, if it is.
pub(super) fn quarantined(
    store: &Store,
    job: &Job<'_>,
    version: &VersionId,
) -> Result<Option<String>, StoreError> {
    let all = store.quarantine(&job.service.name)?;
    let failed = all.iter().find(|one| one.version == *version);
    Ok(failed.map(|failed| {
        let held = held(failed, job);
        format!("in quarantine, so that no intent that is here tries it by itself: {held}")
    }))
}

/// Whether an intent of the service's channel is for the service, on whichever host.
fn is_for(intent: &Intent, service: &Service) -> bool {
    let named = intent.service.as_ref();
    named.is_none_or(|name| *name == service.name) && objection(service, intent).is_none()
}

fn place(intent: &Intent) -> Mark {
    Mark {
        epoch: intent.epoch,
        seq: intent.seq,
    }
}
