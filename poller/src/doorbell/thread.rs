//! The thread: connects, listens, and connects again.

use std::{sync::mpsc::RecvTimeoutError, time::Instant};

use towline_protocol::{Hello, Secret};

use super::{
    Event, Order, Timing,
    lost::Lost,
    session::{Ear, End, Mouth, Session, undelivered},
    socket::Socket,
};
use crate::{relay_client::RelayError, route::Route};

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
            let begun = Instant::now();
            let why = match self.listen() {
                End::Stopped => return,
                End::Lost(why) => why,
            };
            // A connection that is lost as soon as it stands is no success.
            if begun.elapsed() >= self.timing.rhythm.every {
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

    /// Connects and listens until the connection is lost.
    fn listen(&mut self) -> End {
        let trust = match self.route.trust() {
            Ok(trust) => trust,
            Err(error) => return End::Lost(self.impossible(error.to_string()).into()),
        };
        let deadlines = self.timing.deadlines;
        match Socket::open(&self.route, &trust, &self.token, deadlines) {
            Ok(socket) => {
                let hello = self.hello.get_or_insert_default();
                Session::new(socket, hello, &self.ear, &self.mouth, self.timing).run()
            }
            Err(error) => End::Lost(Lost::Relay(error)),
        }
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

/// From 0 to 1. Without randomness hosts are apart by their clocks.
fn jitter() -> f64 {
    let random = getrandom::u32()
        .unwrap_or_else(|_| jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    f64::from(random) / f64::from(u32::MAX)
}
