//! The health gate: whether a new version is fit to stay, and whether an old one is as well as it was.
//!
//! Checks run side by side, and a container that ends loses at once. The first tries come fast, since every moment
//! until the first good answer may be downtime; a window in which nothing may restart comes after. Here is what is
//! waited for and how long; `http` makes one request, `vitals` reads what the engine shows. Deadlines are
//! monotonic. Not here: what follows from a verdict (`machine`).

use std::{
    future::pending,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use serde_json::Value;
use towline_protocol::Gate;

use crate::{
    docker::{Docker, EngineError},
    redact::Secrets,
    settings::HealthCheck,
};

mod http;
mod tries;
mod vitals;

use tries::{Budget, Pause};
use vitals::{Health, Vitals};

/// How long nothing may restart after the checks were passed.
const STABLE: Duration = Duration::from_secs(3);
/// How long a container must run when there is nothing else to go by.
const WEAK: Duration = Duration::from_secs(10);
/// The same for an old version that is back: it had proved itself before.
const RETURNED: Duration = Duration::from_secs(1);
/// How long the look at the old version may take at most: a fix of one that does not answer waits for it.
const GLANCE: Duration = Duration::from_secs(5);

/// Whether the containers passed; otherwise why not, with the last answer.
pub type Verdict = Result<Gate, String>;

/// Waits until the new containers `ids` pass `checks`, or fail them.
///
/// Without checks, Docker's own healthcheck counts where a container has one; the rest must run for a while, which
/// is [`Gate::Weak`]. `spent` is how much of the checks' time an earlier process has used up; at least one try is made.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn gate(
    engine: &Docker,
    ids: &[String],
    checks: &[HealthCheck],
    spent: Duration,
) -> Result<Verdict, EngineError> {
    let first = match look(engine, ids).await? {
        Ok(first) => first,
        Err(why) => return Ok(Err(why)),
    };
    let checks = or_own(checks, &first);
    let secrets = known(&first);
    if let Err(why) = passed(engine, ids, checks, &secrets, spent).await? {
        return Ok(Err(why));
    }
    let (window, gate) = if checks.is_empty() {
        (WEAK, Gate::Weak)
    } else {
        (STABLE, Gate::Healthy)
    };
    let stable = stays(engine, ids, &first, window).await?;
    Ok(stable.map(|()| gate))
}

/// Whether the container passes `checks` now, each within its own limit but soon: how well the old version was. One
/// without a healthcheck does not pass a check that asks for Docker's own.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn is_well(
    engine: &Docker,
    id: &str,
    checks: &[HealthCheck],
) -> Result<bool, EngineError> {
    let vitals = settled(engine, id).await?;
    let own_is_asked = checks
        .iter()
        .any(|check| matches!(check, HealthCheck::Docker { .. }));
    let own_is_good = vitals
        .health
        .as_ref()
        .map_or(!own_is_asked, Health::is_good);
    if vitals.ended().is_some() || vitals.restarting || !own_is_good {
        return Ok(false);
    }
    let mut tries = Vec::new();
    for check in checks {
        if let HealthCheck::Http { probe, within } = check {
            let budget = Budget::new(GLANCE.min(*within), Duration::ZERO);
            tries.push(http::until(probe, &vitals.secrets, budget));
        }
    }
    Ok(try_join_all(tries).await.is_ok())
}

/// What the engine shows of a container once its own healthcheck has an opinion, or soon.
async fn settled(engine: &Docker, id: &str) -> Result<Vitals, EngineError> {
    let begun = Instant::now();
    let mut pause = Pause::new();
    loop {
        let vitals = Vitals::read(engine.container(id).await?.as_ref());
        let is_undecided = vitals.health.as_ref().is_some_and(Health::is_starting);
        if vitals.ended().is_some() || !is_undecided || begun.elapsed() >= GLANCE {
            return Ok(vitals);
        }
        pause.take().await;
    }
}

/// The service's checks; Docker's own where there are none and every container has one.
fn or_own<'a>(checks: &'a [HealthCheck], containers: &[Vitals]) -> &'a [HealthCheck] {
    const OWN: &[HealthCheck] = &[HealthCheck::Docker { within: None }];
    if checks.is_empty() && containers.iter().all(|vitals| vitals.has_healthcheck) {
        OWN
    } else {
        checks
    }
}

/// An old container that was started again, and how it was before.
#[derive(Clone, Copy, Debug)]
pub struct Old<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether it passed the checks.
    pub was_healthy: bool,
    /// Whether the engine had to start it again and again.
    pub was_restarting: bool,
}

/// Waits until the old containers, started again, are as well as they were: each goes on running, or restarting if it
/// did that before, and those that passed `checks` pass them. Docker's own healthcheck counts as for [`gate`].
///
/// # Errors
/// When the engine cannot be asked.
pub async fn returned(
    engine: &Docker,
    olds: &[Old<'_>],
    checks: &[HealthCheck],
) -> Result<Result<(), String>, EngineError> {
    let ids = |which: &dyn Fn(&Old<'_>) -> bool| -> Vec<String> {
        let those = olds.iter().filter(|old| which(old));
        those.map(|old| old.id.to_owned()).collect()
    };
    let well = ids(&|old| old.was_healthy);
    // The service's checks are for the whole of it.
    let checks = if well.len() == olds.len() {
        checks
    } else {
        &[]
    };
    let first = match look(engine, &well).await? {
        Ok(first) => first,
        Err(why) => return Ok(Err(why)),
    };
    let (checks, secrets) = (or_own(checks, &first), known(&first));
    if let Err(why) = passed(engine, &well, checks, &secrets, Duration::ZERO).await? {
        return Ok(Err(why));
    }
    let (steady, restarting) = (
        ids(&|old| !old.was_restarting),
        ids(&|old| old.was_restarting),
    );
    let first = match look(engine, &steady).await? {
        Ok(first) => first,
        Err(why) => return Ok(Err(why)),
    };
    tokio::select! {
        biased;
        ended = ended(engine, &restarting) => ended.map(Err),
        verdict = stays(engine, &steady, &first, RETURNED) => verdict,
    }
}

/// What must not be told of any of them.
fn known(containers: &[Vitals]) -> Secrets {
    let mut known = Secrets::default();
    for vitals in containers {
        known.add_all(&vitals.secrets);
    }
    known
}

/// How this container has ended, if it has; by `GET /containers/{id}/json`.
pub(crate) fn how_ended(container: &Value) -> Option<String> {
    Vitals::read(Some(container)).ended()
}

/// What the engine shows of each; why not, when one of them has ended.
async fn look(engine: &Docker, ids: &[String]) -> Result<Result<Vec<Vitals>, String>, EngineError> {
    let mut all = Vec::new();
    for id in ids {
        let vitals = Vitals::read(engine.container(id).await?.as_ref());
        if let Some(why) = vitals.ended() {
            return Ok(Err(why));
        }
        all.push(vitals);
    }
    Ok(Ok(all))
}

/// Runs all checks side by side, until each was passed once, one has failed, or a container has ended.
async fn passed(
    engine: &Docker,
    ids: &[String],
    checks: &[HealthCheck],
    secrets: &Secrets,
    spent: Duration,
) -> Result<Result<(), String>, EngineError> {
    let checks = checks.iter().map(|check| async move {
        match check {
            HealthCheck::Http { probe, within } => {
                let budget = Budget::new(*within, spent);
                let verdict = http::until(probe, secrets, budget).await;
                Ok::<_, EngineError>(verdict)
            }
            HealthCheck::Docker { within } => own_healthcheck(engine, ids, *within, spent).await,
        }
    });
    let checks = async {
        let all = try_join_all(checks).await?;
        Ok(all.into_iter().collect::<Result<(), String>>())
    };
    tokio::select! {
        biased;
        verdict = checks => verdict,
        ended = ended(engine, ids) => ended.map(Err),
    }
}

/// Waits until one of the containers has ended, and says how.
async fn ended(engine: &Docker, ids: &[String]) -> Result<String, EngineError> {
    if ids.is_empty() {
        return pending().await;
    }
    let mut pause = Pause::new();
    loop {
        pause.take().await;
        if let Err(why) = look(engine, ids).await? {
            return Ok(why);
        }
    }
}

/// Waits until Docker's own healthcheck says `healthy` of each. `unhealthy` is not the last word before the deadline.
async fn own_healthcheck(
    engine: &Docker,
    ids: &[String],
    within: Option<Duration>,
    spent: Duration,
) -> Result<Result<(), String>, EngineError> {
    let begun = Instant::now();
    let mut pause = Pause::new();
    loop {
        let all = match look(engine, ids).await? {
            Ok(all) => all,
            Err(why) => return Ok(Err(why)),
        };
        if all.iter().any(|vitals| vitals.health.is_none()) {
            return Ok(Err("the container has no healthcheck".to_owned()));
        }
        let waiting = all
            .iter()
            .find(|vitals| !vitals.health.as_ref().is_some_and(Health::is_good));
        let Some(waiting) = waiting else {
            return Ok(Ok(()));
        };
        let within = within.unwrap_or(waiting.patience);
        if begun.elapsed().saturating_add(spent) >= within {
            return Ok(Err(format!(
                "not healthy within {} s: {}",
                within.as_secs(),
                waiting.last_word()
            )));
        }
        pause.take().await;
    }
}

/// Whether the containers go on as they are for `window`: the same start, no restart.
async fn stays(
    engine: &Docker,
    ids: &[String],
    first: &[Vitals],
    window: Duration,
) -> Result<Result<(), String>, EngineError> {
    let begun = Instant::now();
    let mut pause = Pause::new();
    loop {
        let left = window.saturating_sub(begun.elapsed());
        tokio::time::sleep(pause.next().min(left)).await;
        let now = match look(engine, ids).await? {
            Ok(now) => now,
            Err(why) => return Ok(Err(why)),
        };
        if now
            .iter()
            .zip(first)
            .any(|(now, first)| !now.is_same_run(first))
        {
            return Ok(Err("it restarted".to_owned()));
        }
        if left.is_zero() {
            return Ok(Ok(()));
        }
    }
}

#[cfg(test)]
mod tests;
