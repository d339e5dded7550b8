//! The gate of a service that is no container: what it serves is all that shows of it.

use std::time::Duration;

use towline_protocol::Gate;

use super::{Halt, STABLE, Verdict, soon, subject::Subject, trials::Trials};
use crate::{docker::EngineError, settings::HealthCheck};

/// Waits until the new version passes `checks`, or fails them; see [`super::gate`]. Without checks there is nothing to
/// wait for: that its commands ended well is all that is known, which is [`Gate::Weak`].
pub async fn gate_host(
    checks: &[HealthCheck],
    stable_for: Option<Duration>,
    spent: Duration,
    tell: &dyn Fn(String),
) -> Verdict {
    if checks.is_empty() {
        return Ok(Gate::Weak);
    }
    let trials = Trials::new(Subject::Host, checks, Vec::new(), spent);
    let passed = trials.stay_passed(stable_for.unwrap_or(STABLE), tell);
    passed.await.map(|()| Gate::Healthy).map_err(why)
}

/// Whether the service passes `checks` now, each within its own limit but soon.
pub async fn is_well_host(checks: &[HealthCheck]) -> bool {
    let soon: Vec<_> = checks.iter().filter_map(soon).collect();
    let trials = Trials::new(Subject::Host, &soon, Vec::new(), Duration::ZERO);
    trials.pass(&|_| ()).await.is_ok()
}

/// Waits until the old version passes `checks` again, each within its own time.
///
/// # Errors
/// Why it does not.
pub async fn returned_host(checks: &[HealthCheck]) -> Result<(), String> {
    let trials = Trials::new(Subject::Host, checks, Vec::new(), Duration::ZERO);
    trials.pass(&|_| ()).await.map_err(why)
}

fn why(halt: Halt) -> String {
    match halt {
        Halt::Failed(why) => why,
        // No engine is asked.
        Halt::Engine(error) => EngineError::to_string(&error),
    }
}
