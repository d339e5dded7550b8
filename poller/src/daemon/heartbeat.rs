//! Saying now and then who is there and what runs, where no doorbell does.
//!
//! Only who looks at the fleet needs it: nothing waits for it. What fails is tried again after a pause that grows up to
//! the usual one. A relay that does not know the request is an older one, or has lost a setting: it is left alone for an
//! hour.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use towline_protocol::ServiceState;
use tracing::debug;

use super::{Poller, relay_thread::Greeting};
use crate::{
    backoff::{jitter, pause},
    hello::hello,
    store::StoreError,
};

/// How often it is said when nothing changes.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// How soon after a failure, less up to half; each further one in a row doubles it.
const AGAIN: Duration = Duration::from_secs(20);

/// How soon to ask a relay again that does not know the request.
const UNKNOWN: Duration = Duration::from_secs(60 * 60);

/// When to say it, and what was said.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// When it is due though nothing has changed.
    next: Instant,
    /// What the relay knows of the services; `None` when that is not known.
    told: Option<Vec<ServiceState>>,
    /// [`crate::store::Store::changes`] when that was last looked at.
    looked_at: Option<u64>,
    saying: Option<oneshot::Receiver<Greeting>>,
    /// How often it failed in a row.
    failures: u32,
    /// Until when a relay is left alone that does not know it.
    absent_until: Option<Instant>,
}

impl Heartbeat {
    /// Due at once.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next: now,
            told: None,
            looked_at: None,
            saying: None,
            failures: 0,
            absent_until: None,
        }
    }

    /// Something else has said it, or is about to.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.next = now + EVERY;
        self.told = None;
        self.looked_at = None;
    }

    /// How long until it is due, unless it is being said.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let next = self.absent_until.map_or(self.next, |at| at.max(self.next));
        let waits = self.saying.is_none();
        waits.then(|| next.saturating_duration_since(now))
    }

    /// The relay's answer; never, when it was not asked.
    pub(super) async fn said(&mut self) -> Greeting {
        if let Some(saying) = &mut self.saying
            && let Ok(answer) = saying.await
        {
            self.saying = None;
            return answer;
        }
        std::future::pending().await
    }

    /// Whether there may be something to say: it is time, or the state has changed.
    fn is_worth_a_look(&self, now: Instant, changes: u64) -> bool {
        let is_time = now >= self.next || self.looked_at != Some(changes);
        let is_absent = self.absent_until.is_some_and(|until| now < until);
        is_time && self.saying.is_none() && !is_absent
    }

    /// Whether it is to be said that these are the services; it counts as said then.
    fn wants(&mut self, services: &[ServiceState], now: Instant) -> bool {
        let has_changed = self.told.as_ref().is_some_and(|told| told != services);
        self.told = Some(services.to_vec());
        let wants = has_changed || now >= self.next;
        if wants {
            self.next = now + pause(EVERY, 0, None, jitter());
        }
        wants
    }

    /// What there is to say cannot be read; it is looked for again with the next one.
    fn fail(&mut self, now: Instant, error: &StoreError) {
        self.next = now + EVERY;
        debug!("not said who is there: {error}");
    }

    /// `jitter` is from 0 to 1.
    fn note(&mut self, answer: Greeting, now: Instant, jitter: f64) {
        let Err(error) = answer else {
            self.failures = 0;
            return;
        };
        debug!("the relay does not know that this host is there: {error}");
        self.told = None;
        if error.is_unknown() {
            self.absent_until = Some(now + UNKNOWN);
            return;
        }
        let doubled = AGAIN.saturating_mul(2u32.saturating_pow(self.failures));
        let pause = doubled.min(EVERY).mul_f64(1.0 - 0.5 * jitter);
        self.failures = self.failures.saturating_add(1);
        self.next = now + pause.max(error.retry_after().unwrap_or_default());
    }
}

impl Poller {
    /// Says who is there when that is due; `is_rung` says that the doorbell does. A state that cannot be read keeps
    /// nothing else from going on.
    pub(super) fn beat(&mut self, is_rung: bool) {
        let (now, changes) = (Instant::now(), self.store.changes());
        if is_rung {
            return self.heartbeat.put_off(now);
        }
        if !self.heartbeat.is_worth_a_look(now, changes) {
            return;
        }
        self.heartbeat.looked_at = Some(changes);
        match hello(&self.store, &self.settings, &self.left_out) {
            Ok(hello) if self.heartbeat.wants(&hello.services, now) => {
                self.heartbeat.saying = Some(self.relay.greet(hello));
            }
            Ok(_) => {}
            Err(error) => self.heartbeat.fail(now, &error),
        }
    }

    /// Notes what came of it.
    pub(super) fn note_said(&mut self, answer: Greeting) {
        self.heartbeat.note(answer, Instant::now(), jitter());
    }

    /// Says it once, and waits for that. Nothing depends on it.
    pub(super) async fn greet(&mut self) {
        match hello(&self.store, &self.settings, &self.left_out) {
            Ok(hello) => {
                if let Ok(answer) = self.relay.greet(hello).await {
                    self.note_said(answer);
                }
            }
            Err(error) => self.heartbeat.fail(Instant::now(), &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay_client::RelayError;

    fn web(kind: &str) -> Vec<ServiceState> {
        let one = ServiceState {
            name: "web".parse().unwrap(),
            channel: "octo-org/web".parse().unwrap(),
            kind: kind.to_owned(),
            running: None,
        };
        vec![one]
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_is_said_at_the_start_every_quarter_of_an_hour_and_when_what_runs_has_changed() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new(now);
        assert!(heartbeat.wants(&web("docker"), now));
        assert!(!heartbeat.wants(&web("docker"), now + 13 * MINUTE));
        assert!(heartbeat.wants(&web("docker"), now + 17 * MINUTE));
        assert!(heartbeat.wants(&web("other"), now + 18 * MINUTE));
        assert!(!heartbeat.wants(&web("other"), now + 19 * MINUTE));
    }

    #[test]
    fn what_a_doorbell_has_said_is_not_said_again_until_it_was_gone_for_a_while() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new(now);
        heartbeat.put_off(now);
        assert!(!heartbeat.wants(&web("docker"), now + 14 * MINUTE));
        assert!(heartbeat.wants(&web("docker"), now + 15 * MINUTE));
        heartbeat.put_off(now);
        assert!(!heartbeat.wants(&web("docker"), now));
        assert!(heartbeat.wants(&web("other"), now + MINUTE));
    }

    fn busy(retry_after: Option<Duration>) -> Greeting {
        Err(RelayError::Busy {
            status: 503,
            message: String::new(),
            retry_after,
        })
    }

    #[test]
    fn a_relay_that_does_not_know_it_is_asked_again_after_an_hour() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new(now);
        assert!(heartbeat.wants(&web("docker"), now));
        let absent = RelayError::Refused {
            status: 404,
            message: String::new(),
        };
        heartbeat.note(Err(absent), now, 0.0);
        assert!(!heartbeat.is_worth_a_look(now + 59 * MINUTE, 1));
        assert_eq!(heartbeat.pause(now), Some(UNKNOWN));
        assert!(heartbeat.is_worth_a_look(now + UNKNOWN, 1));
        assert!(heartbeat.wants(&web("docker"), now + UNKNOWN));
    }

    #[test]
    fn what_has_failed_is_said_again_soon_and_less_and_less_often_until_it_succeeds() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new(now);
        assert!(heartbeat.wants(&web("docker"), now));
        let mut failing = |retry_after| {
            heartbeat.note(busy(retry_after), now, 0.0);
            heartbeat.pause(now).unwrap().as_secs()
        };
        assert_eq!([(); 3].map(|()| failing(None)), [20, 40, 80]);
        assert_eq!((0..40).map(|_| failing(None)).last(), Some(900));
        assert_eq!(failing(Some(UNKNOWN)), 3600);
        heartbeat.note(Ok(()), now, 0.0);
        heartbeat.note(busy(None), now, 1.0);
        assert_eq!(heartbeat.pause(now).unwrap().as_secs(), 10);
        assert!(heartbeat.wants(&web("docker"), now + MINUTE));
    }
}
