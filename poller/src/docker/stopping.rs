//! Containers that are still being stopped, for whoever has asked for it and does not wait any more: a process that was killed.
//! They run, and end a moment later. The engine shows it nowhere but in its events.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use tokio::time::sleep;

use super::{Docker, EngineError, containers::grace, events::Signal};

/// How often it is looked whether they have ended.
const LOOK: Duration = Duration::from_millis(200);
/// How long the engine may need beyond the time that a container has for its end.
const MARGIN: Duration = Duration::from_secs(5);

/// How long it is waited at all: somebody may send one signal after the other.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// By which programs are asked to read their settings again and such, with their numbers.
const MESSAGES: [(&str, i32); 3] = [("HUP", 1), ("USR1", 10), ("USR2", 12)];

/// The last signals of containers, by their ids (see [`Docker::signalled`]).
type Signalled = BTreeMap<String, Signal>;

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
            let Some(last) = signalled.get(id) else {
                continue;
            };
            let shown = self.container(id).await?.unwrap_or_default();
            let was_stopped = !runs(&shown) && last.at >= since && ends(last, &shown);
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

/// Whether a signal asks this container to end: what tells other programs something may be what stops this one.
fn ends(last: &Signal, shown: &Value) -> bool {
    let Some(signal) = last.signal else {
        return true;
    };
    let Some((name, _)) = MESSAGES.iter().find(|(_, number)| *number == signal) else {
        return true;
    };
    let own = shown.pointer("/Config/StopSignal").and_then(Value::as_str);
    own.is_some_and(|own| own.trim_start_matches("SIG") == *name || own == signal.to_string())
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
    let last = signalled.get(id).filter(|last| ends(last, shown));
    let since = last.and_then(|last| now.duration_since(last.at).ok());
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
        let signal = Some(15);
        let signalled = BTreeMap::from([("web".to_owned(), Signal { at, signal })]);
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

    #[test]
    fn a_signal_that_tells_something_ends_only_what_it_stops() {
        let at = UNIX_EPOCH;
        let of = |number| Signal {
            at,
            signal: Some(number),
        };
        let shown = |own: &str| json!({ "Config": { "StopSignal": own } });
        for (number, own) in [(1, "SIGHUP"), (10, "USR1"), (12, "12")] {
            assert!(!ends(&of(number), &json!({})), "{number}");
            assert!(!ends(&of(number), &shown("SIGTERM")), "{number}");
            assert!(ends(&of(number), &shown(own)), "{number}");
        }
        assert!(ends(&of(15), &json!({})) && ends(&of(9), &shown("SIGQUIT")));
        assert!(ends(&Signal { at, signal: None }, &json!({})));
    }
}
