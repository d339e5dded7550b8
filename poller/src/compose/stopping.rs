//! Containers that the engine is still stopping for a Compose that was killed. They run, so that the next Compose leaves them as
//! they are, and would end a moment after it has said that all is up.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

use super::{Container, containers};
use crate::docker::{Docker, EngineError};

/// How often it is looked whether they have ended.
const LOOK: Duration = Duration::from_millis(200);
/// How long the engine may need beyond the time that a container has for its end.
const MARGIN: Duration = Duration::from_secs(5);

/// When containers were sent a signal, by their ids (see [`Docker::signalled`]).
type Signalled = BTreeMap<String, SystemTime>;

/// Waits until none of the project's containers is being stopped. `grace` is how long each has, if not as long as its own
/// settings say.
///
/// # Errors
/// See [`EngineError`].
pub(super) async fn settle(
    engine: &Docker,
    project: &str,
    grace: Option<Duration>,
) -> Result<(), EngineError> {
    loop {
        let now = SystemTime::now();
        let signalled = engine.signalled(now).await?;
        let all = containers(engine, project).await?;
        if !all
            .iter()
            .any(|one| is_being_stopped(one, &signalled, now, grace))
        {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

/// Whether one of the project's containers is being stopped, or was since that moment.
///
/// # Errors
/// See [`EngineError`].
pub(super) async fn were_stopped(
    engine: &Docker,
    project: &str,
    since: SystemTime,
    grace: Option<Duration>,
) -> Result<bool, EngineError> {
    let now = SystemTime::now();
    let signalled = engine.signalled(now).await?;
    let all = containers(engine, project).await?;
    let was_stopped = |one: &Container| {
        let at = signalled.get(&one.id);
        !one.runs && at.is_some_and(|at| *at >= since)
    };
    Ok(all
        .iter()
        .any(|one| was_stopped(one) || is_being_stopped(one, &signalled, now, grace)))
}

/// Whether a container runs that was told to end a moment ago. A signal may mean something else to it, so that it is not
/// waited for longer than the engine would.
fn is_being_stopped(
    one: &Container,
    signalled: &Signalled,
    now: SystemTime,
    grace: Option<Duration>,
) -> bool {
    let limit = grace.unwrap_or(one.grace).saturating_add(MARGIN);
    let since = signalled
        .get(&one.id)
        .and_then(|at| now.duration_since(*at).ok());
    one.runs && since.is_some_and(|since| since < limit)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::compose::tests::containers::container;

    #[test]
    fn one_that_was_told_to_end_is_waited_for_as_long_as_it_has() {
        let at = UNIX_EPOCH + Duration::from_secs(1000);
        let mut one = container("s-web-1", "web", "new");
        let signalled = BTreeMap::from([(one.id.clone(), at)]);
        let after = |seconds| at + Duration::from_secs(seconds);
        let own = |seconds| is_being_stopped(&one, &signalled, after(seconds), None);
        assert!(own(0) && own(14));
        assert!(!own(15));
        let longer = Some(Duration::from_secs(60));
        assert!(is_being_stopped(&one, &signalled, after(64), longer));
        // The clock was set back: nobody knows, and nobody waits for years.
        assert!(!is_being_stopped(&one, &signalled, UNIX_EPOCH, None));
        assert!(!is_being_stopped(&one, &BTreeMap::new(), at, None));
        one.runs = false;
        assert!(!is_being_stopped(&one, &signalled, at, None));
    }
}
