//! Whether the other end is still there. Pure: the time is an argument.

use std::time::{Duration, Instant};

/// How often a ping is sent, and how long its pong may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pub(super) every: Duration,
    pub(super) within: Duration,
}

/// The pings and pongs of a connection.
#[derive(Debug)]
pub(super) struct Pulse {
    rhythm: Rhythm,
    next: Instant,
    /// Until when the pong has to come.
    awaited: Option<Instant>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing before this.
    Wait(Instant),
    /// A ping.
    Ping,
    /// The end: no pong has come.
    Silent,
}

impl Pulse {
    pub(super) fn new(rhythm: Rhythm, now: Instant) -> Self {
        Self {
            rhythm,
            next: now + rhythm.every,
            awaited: None,
        }
    }

    /// What is due at `now`; a ping counts as sent.
    pub(super) fn beat(&mut self, now: Instant) -> Beat {
        match self.awaited {
            Some(until) if until <= now => Beat::Silent,
            Some(until) => Beat::Wait(until),
            None if self.next <= now => {
                self.next = now + self.rhythm.every;
                self.awaited = Some(now + self.rhythm.within);
                Beat::Ping
            }
            None => Beat::Wait(self.next),
        }
    }

    /// A pong has come.
    pub(super) fn pong(&mut self) {
        self.awaited = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_every_minute_and_the_end_when_its_pong_does_not_come_in_time() {
        let second = Duration::from_secs(1);
        let rhythm = Rhythm {
            every: second * 60,
            within: second * 15,
        };
        let start = Instant::now();
        let mut pulse = Pulse::new(rhythm, start);
        let at = |seconds| start + second * seconds;
        assert_eq!(pulse.beat(at(59)), Beat::Wait(at(60)));
        assert_eq!(pulse.beat(at(61)), Beat::Ping);
        assert_eq!(pulse.beat(at(62)), Beat::Wait(at(76)));
        pulse.pong();
        assert_eq!(pulse.beat(at(63)), Beat::Wait(at(121)));
        assert_eq!(pulse.beat(at(121)), Beat::Ping);
        assert_eq!(pulse.beat(at(136)), Beat::Silent);
    }
}
