//! The thread: connects, listens, and connects again.

use std::{
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use towline_protocol::{Hello, Secret};

use super::{
    Event, Order, Timing,
    lost::Lost,
    session::{Ear, End, Mouth, Session, undelivered},
    socket::Socket,
};
use crate::{backoff::jitter, relay_client::RelayError, route::Route};

/// Everything that the thread has.
pub(super) struct Bell {
    pub(super) route: Route,
    pub(super) token: Secret,
    pub(super) timing: Timing,
    /// What to say of this host; nothing is done before that is known.
    pub(super) hello: Option<Hello>,
    pub(super) ear: Ear,
    pub(super) mouth: Mouth,
}

impl Bell {
    /// Goes on until the other end of the orders is dropped.
    pub(super) fn ring(mut self) {
        let mut failures = 0;
        loop {
            while self.hello.is_none() {
                if self.wait_until(None).is_none() {
                    return;
                }
            }
            let (end, stood) = self.listen();
            let why = match end {
                End::Stopped => return,
                End::Lost(why) => why,
            };
            // A connection that is lost as soon as it stands is no success, however long it took to make it.
            if stood >= self.timing.rhythm.every {
                failures = 0;
            }
            failures += 1;
            let again_in = why.rest(failures, jitter()).mul_f64(self.timing.rest);
            self.mouth.tell(Event::Lost { why, again_in });
            let until = Instant::now() + again_in;
            while Instant::now() < until {
                if self.wait_until(Some(until)).is_none() {
                    return;
                }
            }
        }
    }

    /// Connects and listens until the connection is lost; how long it stood.
    fn listen(&mut self) -> (End, Duration) {
        match self.connect() {
            Ok(socket) => {
                let begun = Instant::now();
                let hello = self.hello.get_or_insert_default();
                let session = Session::new(socket, hello, &self.ear, &self.mouth, self.timing);
                (session.run(), begun.elapsed())
            }
            Err(error) => (End::Lost(Lost::Relay(error)), Duration::ZERO),
        }
    }

    fn connect(&self) -> Result<Socket, RelayError> {
        let trust = self.route.trust();
        let trust = trust.map_err(|error| self.impossible(error.to_string()))?;
        Socket::open(&self.route, &trust, &self.token, self.timing.deadlines)
    }

    fn impossible(&self, problem: String) -> RelayError {
        RelayError::Unreachable {
            origin: self.route.url.to_string(),
            problem,
        }
    }

    /// Takes one order while there is no connection; `None` when there will be no more.
    fn wait_until(&mut self, until: Option<Instant>) -> Option<()> {
        let orders = &self.ear.orders;
        let order = match until {
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => orders.recv_timeout(until.saturating_duration_since(Instant::now())),
        };
        match order {
            Ok(Order::Hello { hello, .. }) => self.hello = Some(hello),
            Ok(Order::Deliver { answer, .. }) => undelivered(answer),
            Ok(Order::Mention(_)) => {}
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        Some(())
    }
}
