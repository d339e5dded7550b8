//! The containers of a Compose project, checked together. Some of them may end: a migration that is done is well.

use std::time::Duration;

use serde_json::Value;

use super::{
    Halt, RETURNED, Verdict, asks_for_own, passes, soon_all,
    subject::{Subject, settled},
    trials::Trials,
    verdict,
    vitals::Vitals,
};
use crate::{
    docker::{Docker, EngineError},
    redact::Secrets,
    settings::HealthCheck,
};

/// A container that is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What it is called in a reason; `None` where it is the only one.
    pub name: Option<String>,
    /// Whether it is no good once it has ended, since the one before it ran. One with a restart policy of `always` or
    /// `unless-stopped` never is; another that ends with status 0 is done, and is not watched any more.
    pub must_run: bool,
    /// What must not be told of it beside what its environment keeps secret.
    pub secrets: Secrets,
}

impl Member {
    /// The only one of a service, which must run.
    pub(super) fn only(id: &str) -> Self {
        let id = id.to_owned();
        Self {
            id,
            name: None,
            must_run: true,
            secrets: Secrets::default(),
        }
    }

    /// What the engine shows of it, by `GET /containers/{id}/json`.
    pub(super) fn vitals(&self, shown: Option<&Value>) -> Vitals {
        let mut vitals = Vitals::read(shown, self.secrets.clone());
        vitals.is_done = !self.must_run && vitals.has_done_its_work();
        vitals
    }

    /// What is wrong with it.
    pub(super) fn told(&self, why: &str) -> String {
        match &self.name {
            Some(name) => format!("{name}: {why}"),
            None => why.to_owned(),
        }
    }
}

/// Waits until the containers of a project pass `checks`, or fail them; otherwise as [`super::gate`].
///
/// # Errors
/// When the engine cannot be asked.
pub async fn gate_set(
    engine: &Docker,
    members: &[Member],
    checks: &[HealthCheck],
    stable_for: Option<Duration>,
    spent: Duration,
    tell: &dyn Fn(String),
) -> Result<Verdict, EngineError> {
    let subject = Subject::Containers { engine, members };
    verdict(passes(subject, checks, stable_for, spent, tell).await)
}

/// Whether the containers of a project are well now: each runs, or is done, is healthy by Docker's own healthcheck where it has one, and
/// together they pass `checks`, each within its own limit but soon.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn is_well_set(
    engine: &Docker,
    members: &[Member],
    checks: &[HealthCheck],
) -> Result<bool, EngineError> {
    let well = verdict(are_well(engine, members, checks).await)?;
    Ok(well.is_ok_and(|well| well))
}

async fn are_well(
    engine: &Docker,
    members: &[Member],
    checks: &[HealthCheck],
) -> Result<bool, Halt> {
    let subject = Subject::Containers { engine, members };
    let mut have_own = false;
    for member in members {
        let vitals = settled(engine, &member.id).await?;
        let own = vitals.health.as_ref().filter(|_| vitals.ended().is_none());
        if vitals.restarting || own.is_some_and(|own| !own.is_good()) {
            return Ok(false);
        }
        have_own |= vitals.has_healthcheck;
    }
    if asks_for_own(checks) && !have_own {
        return Ok(false);
    }
    let first = subject.look().await?;
    let soon = soon_all(checks);
    let trials = Trials::new(subject, &soon, first, Duration::ZERO);
    trials.pass(&|_| ()).await.map(|()| true)
}

/// Waits until the old containers of a project, brought up again, are as well as they were: where they passed `checks` they
/// pass them again and none restarts; where they did not, those that must run have not ended.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn returned_set(
    engine: &Docker,
    members: &[Member],
    checks: &[HealthCheck],
    was_healthy: bool,
) -> Result<Result<(), String>, EngineError> {
    let subject = Subject::Containers { engine, members };
    let back = async {
        if was_healthy {
            let stable_for = Some(RETURNED);
            let passed = passes(subject, checks, stable_for, Duration::ZERO, &|_| ()).await;
            passed.map(drop)
        } else {
            // How many of them were restarting before, nobody knows any more.
            tokio::time::sleep(RETURNED).await;
            subject.look().await.map(drop)
        }
    };
    verdict(back.await)
}
