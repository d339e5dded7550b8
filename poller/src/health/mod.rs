//! The health gate: whether a new version is fit to stay, and whether an old one is as well as it was.
//!
//! Checks run side by side, and a container that ends loses at once. The first tries come fast, since every moment
//! until the first good answer may be downtime; a window in which nothing may go wrong comes after. Here is what is
//! waited for and how long; `trials` runs the checks, `probe` one of them with `http`, `tcp` and `address`, `vitals`
//! reads what the engine shows, `crash` says how a container came to its end meanwhile. `set` is for the containers of a
//! project, `group` for those that are replaced with another one, `lender` for what they wait for, `host` for what has none. Deadlines are monotonic. Not here: what follows from a verdict (`machine`).

use std::time::Duration;

use serde_json::Value;
use towline_protocol::Gate;

use crate::{
    docker::{Docker, EngineError},
    redact::Secrets,
    settings::HealthCheck,
};

mod address;
mod again;
mod crash;
mod group;
mod halt;
mod host;
mod http;
mod lender;
mod probe;
mod set;
mod subject;
mod tcp;
mod trials;
mod tries;
mod vitals;

pub(crate) use address::obstacle;
pub use again::gate_again;
pub use group::gate_accompanied;
pub use host::{Host, gate_host, is_well_host, returned_host};
pub use lender::lender_has_come_up;
pub use set::{Member, gate_set, is_well_set, returned_set};

use crash::{Scene, Seen};
use halt::{Halt, verdict};
use subject::{GLANCE, Subject};
use trials::Trials;
use vitals::Vitals;

/// How long nothing may go wrong after the checks were passed.
const STABLE: Duration = Duration::from_secs(3);
/// How long a container must run when there is nothing else to go by.
const WEAK: Duration = Duration::from_secs(10);
/// The same for an old version that is back: it had proved itself before.
const RETURNED: Duration = Duration::from_secs(1);

/// Whether the containers passed; otherwise why not, with the last answer.
pub type Verdict = Result<Gate, String>;

/// Waits until the new containers `ids` pass `checks`, or fail them.
///
/// Without checks, Docker's own healthcheck counts where a container has one; the rest must run for a while, which
/// is [`Gate::Weak`]. `stable_for` is the window in which nothing may go wrong then, if not the usual one. `spent` is how
/// much of the checks' time an earlier process has used up; at least one try is made. `tell` hears of each check that is
/// passed.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn gate(
    engine: &Docker,
    ids: &[String],
    checks: &[HealthCheck],
    stable_for: Option<Duration>,
    spent: Duration,
    tell: &dyn Fn(String),
) -> Result<Verdict, EngineError> {
    let members: Vec<_> = ids.iter().map(|id| Member::only(id)).collect();
    gate_set(engine, &members, checks, stable_for, spent, tell).await
}

async fn passes(
    subject: Subject<'_>,
    checks: &[HealthCheck],
    stable_for: Option<Duration>,
    spent: Duration,
    tell: &dyn Fn(String),
) -> Result<Gate, Halt> {
    let seen = Seen::default();
    let scene = Scene {
        subject: &subject,
        first: &[],
        seen: &seen,
    };
    let first = match subject.look().await {
        Ok(first) => first,
        Err(halt) => return Err(scene.ended(halt).await),
    };
    let asked = or_own(checks, &first);
    let is_weak = checks.is_empty() && !all_have_own(&first);
    let (window, gate) = if is_weak {
        (WEAK, Gate::Weak)
    } else {
        (STABLE, Gate::Healthy)
    };
    let trials = Trials::new(subject, asked, first, spent);
    trials
        .stay_passed(stable_for.unwrap_or(window), tell)
        .await?;
    Ok(gate)
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
    is_well_set(engine, &[Member::only(id)], checks).await
}

/// The checks with little time, but for Docker's own, which says how it is at any time.
fn soon_all(checks: &[HealthCheck]) -> Vec<HealthCheck> {
    checks.iter().filter_map(soon).collect()
}

/// The same check with little time: a fix of a version that does not answer waits for it.
fn soon(check: &HealthCheck) -> Option<HealthCheck> {
    match check {
        HealthCheck::Tried { probe, within } => Some(HealthCheck::Tried {
            probe: probe.clone(),
            within: GLANCE.min(*within),
        }),
        HealthCheck::Docker { .. } => None,
    }
}

/// The service's checks; Docker's own where there are none and a container has one.
fn or_own<'a>(checks: &'a [HealthCheck], containers: &[Vitals]) -> &'a [HealthCheck] {
    const OWN: &[HealthCheck] = &[HealthCheck::Docker { within: None }];
    if checks.is_empty() && containers.iter().any(|vitals| vitals.has_healthcheck) {
        OWN
    } else {
        checks
    }
}

/// Whether each container that runs has a healthcheck, so that more is known of it than that.
fn all_have_own(containers: &[Vitals]) -> bool {
    let mut running = containers
        .iter()
        .filter(|vitals| !vitals.is_done)
        .peekable();
    running.peek().is_some() && running.all(|vitals| vitals.has_healthcheck)
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
    verdict(are_back(engine, olds, checks).await)
}

async fn are_back(engine: &Docker, olds: &[Old<'_>], checks: &[HealthCheck]) -> Result<(), Halt> {
    let members = |which: &dyn Fn(&Old<'_>) -> bool| -> Vec<Member> {
        let those = olds.iter().filter(|old| which(old));
        those.map(|old| Member::only(old.id)).collect()
    };
    let well = members(&|old| old.was_healthy);
    // The service's checks are for the whole of it.
    let checks = if well.len() == olds.len() {
        checks
    } else {
        &[]
    };
    let of = |members| Subject::Containers { engine, members };
    let subject = of(&well);
    let first = subject.look().await?;
    let checks = or_own(checks, &first);
    let trials = Trials::new(subject, checks, first, Duration::ZERO);
    trials.pass(&|_| ()).await?;
    let (steady, restarting) = (
        members(&|old| !old.was_restarting),
        members(&|old| old.was_restarting),
    );
    let (steady, restarting) = (of(&steady), of(&restarting));
    let first = steady.look().await?;
    let trials = Trials::new(steady, &[], first, Duration::ZERO);
    let seen = Seen::default();
    tokio::select! {
        biased;
        halt = restarting.ended(&seen) => Err(halt),
        stayed = trials.stay_passed(RETURNED, &|_| ()) => stayed,
    }
}

/// How this container has ended, if it has, and its last words; by `GET /containers/{id}/json`.
pub(crate) async fn how_ended(engine: &Docker, id: &str, shown: &Value) -> Option<String> {
    let vitals = Vitals::read(Some(shown), Secrets::default());
    let ended = vitals.ended()?;
    let words = crash::last_words(engine, id, &vitals.secrets).await;
    Some(format!("{ended}{words}"))
}

/// Whether one of the checks asks for Docker's own healthcheck.
pub(crate) fn asks_for_own(checks: &[HealthCheck]) -> bool {
    let is_own = |check: &HealthCheck| matches!(check, HealthCheck::Docker { .. });
    checks.iter().any(is_own)
}

/// Whether a container or an image has a healthcheck; by `GET /containers/{id}/json` or `GET /images/{id}/json`.
pub(crate) fn has_own(inspected: &Value) -> bool {
    let test = inspected.pointer("/Config/Healthcheck/Test");
    let first = test.and_then(|test| test.get(0)?.as_str());
    first.is_some_and(|word| word != "NONE")
}

#[cfg(test)]
mod tests;
