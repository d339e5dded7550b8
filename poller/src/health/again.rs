//! A second, short gate: for containers that have passed the first one, and have been put to another place since.

use std::time::Duration;

use super::{RETURNED, Subject, Verdict, passes, set::Member, verdict};
use crate::{
    docker::{Docker, EngineError},
    settings::HealthCheck,
};

/// How long a check may take to be passed again: what it asks is there.
const SOON: Duration = Duration::from_secs(30);

/// Waits until the containers `ids`, which have passed `checks` before, pass each once more, at the addresses that they have
/// now; otherwise as [`super::gate`].
///
/// # Errors
/// When the engine cannot be asked.
pub async fn gate_again(
    engine: &Docker,
    ids: &[String],
    checks: &[HealthCheck],
    tell: &dyn Fn(String),
) -> Result<Verdict, EngineError> {
    let members: Vec<_> = ids.iter().map(|id| Member::only(id)).collect();
    let members = &members[..];
    let checks: Vec<_> = checks.iter().map(sooner).collect();
    let subject = Subject::Containers { engine, members };
    let passed = passes(subject, &checks, Some(RETURNED), Duration::ZERO, tell);
    verdict(passed.await)
}

fn sooner(check: &HealthCheck) -> HealthCheck {
    match check {
        HealthCheck::Tried { probe, within } => HealthCheck::Tried {
            probe: probe.clone(),
            within: SOON.min(*within),
        },
        HealthCheck::Docker { within } => HealthCheck::Docker { within: *within },
    }
}
