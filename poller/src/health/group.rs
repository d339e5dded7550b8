//! The containers of a service together with those that share a namespace of one of them, and are started anew only for that:
//! the service's checks are not about these, but they must run as they did.

use std::time::Duration;

use tokio::sync::Barrier;

use super::{Halt, Member, STABLE, Verdict, crash::Seen, passes, subject::Subject, verdict};
use crate::{
    docker::{Docker, EngineError},
    settings::HealthCheck,
};

/// Waits until the new containers of the first list pass `checks` as by [`super::gate`], and those of the second run on for a while, healthy
/// by Docker's own healthcheck where they have one. As long as the ones are waited for, the others must not end.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn gate_accompanied(
    engine: &Docker,
    (ids, companions): (&[String], &[Member]),
    checks: &[HealthCheck],
    stable_for: Option<Duration>,
    spent: Duration,
    tell: &dyn Fn(String),
) -> Result<Verdict, EngineError> {
    let own: Vec<_> = ids.iter().map(|id| Member::only(id)).collect();
    let own = of(engine, &own);
    let others = of(engine, companions);
    let both = Barrier::new(2);
    let stable = stable_for.unwrap_or(STABLE);
    let passed = tokio::try_join!(
        held(own, passes(own, checks, stable_for, spent, tell), &both),
        held(
            others,
            passes(others, &[], Some(stable), spent, &|_| ()),
            &both
        ),
    );
    verdict(passed.map(|(gate, _)| gate))
}

fn of<'a>(engine: &'a Docker, members: &'a [Member]) -> Subject<'a> {
    Subject::Containers { engine, members }
}

/// What came of `passes`, if nothing ends until the others have come as far.
async fn held<T>(
    subject: Subject<'_>,
    passes: impl Future<Output = Result<T, Halt>>,
    both: &Barrier,
) -> Result<T, Halt> {
    let passed = passes.await?;
    let seen = Seen::default();
    tokio::select! {
        biased;
        _ = both.wait() => Ok(passed),
        halt = subject.ended(&seen) => Err(halt),
    }
}
