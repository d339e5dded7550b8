//! Containers that are still being stopped, for whoever has asked for it and does not wait any more: a process that was killed.
//! They run, and end a moment later. The engine shows it nowhere but in its events.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use tokio::time::sleep;

use super::{Docker, EngineError, containers::grace};

/// How often it is looked whether they have ended.
const LOOK: Duration = Duration::from_millis(200);
/// How long the engine may need beyond the time that a container has for its end.
const MARGIN: Duration = Duration::from_secs(5);

/// How long it is waited at all: somebody may send one signal after the other.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// When containers were sent a signal, by their ids (see [`Docker::signalled`]).
type Signalled = BTreeMap<String, SystemTime>;

impl Docker {
    /// Waits until none of these containers is being stopped. `grace` is how long each has, if not as long as its own settings
    /// say.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn settle(&self, ids: &[String], grace: Option<Duration>) -> Result<(), EngineError> {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            let now = SystemTime::now();
            let signalled = self.signalled(now).await?;
            let mut is_any = false;
            for id in ids.iter().filter(|id| signalled.contains_key(*id)) {
                let shown = self.container(id).await?.unwrap_or_default();
                is_any |= is_being_stopped(id, &shown, &signalled, now, grace);
            }
            if !is_any {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Whether one of these containers is being stopped, or was since that moment.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn were_stopped(
        &self,
        ids: &[String],
        since: SystemTime,
        grace: Option<Duration>,
    ) -> Result<bool, EngineError> {
        let now = SystemTime::now();
        let signalled = self.signalled(now).await?;
        for id in ids {
            let Some(at) = signalled.get(id) else {
                continue;
            };
            let shown = self.container(id).await?.unwrap_or_default();
            let was_stopped = !runs(&shown) && *at >= since;
            if was_stopped || is_being_stopped(id, &shown, &signalled, now, grace) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn runs(shown: &Value) -> bool {
    shown.pointer("/State/Running") == Some(&Value::Bool(true))
}

/// Whether a container runs that was told to end a moment ago. A signal may mean something else to it, so that it is not
/// waited for longer than the engine would.
fn is_being_stopped(
    id: &str,
    shown: &Value,
    signalled: &Signalled,
    now: SystemTime,
    limit: Option<Duration>,
) -> bool {
    let limit = limit.unwrap_or_else(|| grace(shown)).saturating_add(MARGIN);
    let since = signalled
        .get(id)
        .and_then(|at| now.duration_since(*at).ok());
    runs(shown) && since.is_some_and(|since| since < limit)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;

    #[test]
    fn one_that_was_told_to_end_is_waited_for_as_long_as_it_has() {
        let at = UNIX_EPOCH + Duration::from_secs(1000);
        let shown =
            |runs: bool| json!({ "State": { "Running": runs }, "Config": { "StopTimeout": 10 } });
        let signalled = BTreeMap::from([("web".to_owned(), at)]);
        let after = |seconds| at + Duration::from_secs(seconds);
        let own = |now| is_being_stopped("web", &shown(true), &signalled, now, None);
        assert!(own(at) && own(after(14)));
        assert!(!own(after(15)));
        let longer = Some(Duration::from_secs(60));
        assert!(is_being_stopped(
            "web",
            &shown(true),
            &signalled,
            after(64),
            longer
        ));
        // The clock was set back: nobody knows, and nobody waits for years.
        assert!(!own(UNIX_EPOCH));
        assert!(!is_being_stopped(
            "web",
            &shown(true),
            &BTreeMap::new(),
            at,
            None
        ));
        assert!(!is_being_stopped(
            "web",
            &shown(false),
            &signalled,
            at,
            None
        ));
    }
}
