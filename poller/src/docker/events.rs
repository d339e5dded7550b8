//! What the engine was asked to do lately, as far as it remembers: its last 256 events, none from before its own start.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bollard::{models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::{Docker, EngineError};

/// How long the past may take to be told. An engine whose clock is behind would go on until its clock is there.
const LIMIT: Duration = Duration::from_secs(2);

/// A signal that a container was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// When.
    pub at: SystemTime,
    /// Which, as a number; `None` where the engine does not say.
    pub signal: Option<i32>,
}

impl Docker {
    /// The last signal that containers, by their ids, were sent since they were started. A `docker stop` is one, whoever
    /// waits for its end or does not any more. Nothing where the engine, or a proxy before it, does not tell its events.
    ///
    /// # Errors
    /// See [`EngineError`]: only `Unreachable`.
    pub async fn signalled(
        &self,
        now: SystemTime,
    ) -> Result<BTreeMap<String, Signal>, EngineError> {
        let until = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let until = format!("{}.{:09}", until.as_secs(), until.subsec_nanos());
        let filters = HashMap::from([
            ("type", vec!["container"]),
            ("event", vec!["kill", "start"]),
        ]);
        let options = EventsOptionsBuilder::default()
            .since("0")
            .until(&until)
            .filters(&filters)
            .build();
        let mut events = std::pin::pin!(self.client.events(Some(options)));
        let mut told = Vec::new();
        let reading = async {
            while let Some(event) = events.next().await {
                told.push(self.check(event)?);
            }
            Ok::<_, EngineError>(())
        };
        match timeout(LIMIT, reading).await {
            Ok(Err(lost @ EngineError::Unreachable { .. })) => Err(lost),
            Ok(Ok(()) | Err(_)) | Err(_) => Ok(since_started(&told)),
        }
    }
}

fn since_started(events: &[EventMessage]) -> BTreeMap<String, Signal> {
    let mut signalled = BTreeMap::new();
    for event in events {
        let Some(id) = event.actor.as_ref().and_then(|actor| actor.id.clone()) else {
            continue;
        };
        match (event.action.as_deref(), at(event)) {
            (Some("kill"), Some(at)) => {
                let signal = signal(event);
                signalled.insert(id, Signal { at, signal });
            }
            (Some("start"), _) => drop(signalled.remove(&id)),
            _ => {}
        }
    }
    signalled
}

/// Which signal it was, as a number.
fn signal(event: &EventMessage) -> Option<i32> {
    let attributes = event.actor.as_ref()?.attributes.as_ref()?;
    attributes.get("signal")?.parse().ok()
}

fn at(event: &EventMessage) -> Option<SystemTime> {
    let nanoseconds = u64::try_from(event.time_nano?).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;

    fn event(action: &str, id: &str, second: i64) -> EventMessage {
        let signal = ("signal".to_owned(), "15".to_owned());
        EventMessage {
            action: Some(action.to_owned()),
            actor: Some(EventActor {
                id: Some(id.to_owned()),
                attributes: Some(HashMap::from([signal])),
            }),
            time_nano: Some(second * 1_000_000_000),
            ..EventMessage::default()
        }
    }

    #[test]
    fn a_container_that_was_started_again_is_not_signalled_any_more() {
        let events = [
            event("kill", "web", 5),
            event("kill", "db", 6),
            event("start", "web", 7),
            event("kill", "db", 8),
        ];
        let at = UNIX_EPOCH + Duration::from_secs(8);
        let signal = Some(15);
        let last = Signal { at, signal };
        assert_eq!(
            since_started(&events),
            BTreeMap::from([("db".to_owned(), last)])
        );
    }
}
