//! Why there is no connection, and how long to leave it at that. Pure.

use std::time::Duration;

use thiserror::Error;

use crate::{backoff::pause, relay_client::RelayError};

/// The first pause is twice this, less up to half.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause after a connection that stood has ended, at first: a deploy of the relay ends those of all hosts.
const APART: Duration = Duration::from_secs(10);

/// How long to rest when another try will hardly end otherwise, less up to half.
const RARELY: Duration = Duration::from_secs(30 * 60);

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Lost {
    /// It did not come about.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The relay has ended it.
    #[error("the relay closed the connection ({code}){}", spoken(reason))]
    Closed {
        /// The WebSocket's code (RFC 6455, section 7.4).
        code: u16,
        /// The relay's words.
        reason: String,
    },
    /// Another connection of this host has taken its place.
    #[error(
        "another connection with this host's token has taken its place; does another machine use the same token? Make one \
         for each with `towline token`"
    )]
    Replaced,
    /// No pong.
    #[error("the relay does not answer on the connection any more")]
    Silent,
    /// The connection broke.
    #[error("the connection broke: {problem}")]
    Broken {
        /// What happened.
        problem: String,
    },
}

fn spoken(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

impl Lost {
    /// How long to wait before connecting again after `failures` in a row, this one included. `jitter` is from 0 to 1.
    pub(super) fn rest(&self, failures: u32, jitter: f64) -> Duration {
        let rarely = RARELY.mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0));
        let asked = match self {
            Self::Replaced
            | Self::Relay(
                RelayError::Token { .. }
                | RelayError::Forbidden { .. }
                | RelayError::Upgrade { .. }
                | RelayError::Refused { .. },
            ) => return rarely,
            Self::Relay(error) => error.retry_after(),
            Self::Closed { .. } | Self::Broken { .. } if failures <= 1 => {
                return FIRST + (APART - FIRST).mul_f64(jitter.clamp(0.0, 1.0));
            }
            Self::Closed { .. } | Self::Silent | Self::Broken { .. } => None,
        };
        pause(FIRST, failures.max(1), asked, jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_a_second_to_five_minutes() {
        let broken = Lost::Silent;
        let rest = |failures, jitter| broken.rest(failures, jitter).as_secs();
        assert_eq!((rest(0, 1.0), rest(1, 0.0)), (1, 2));
        assert_eq!((rest(20, 1.0), rest(20, 0.0)), (150, 300));
    }

    #[test]
    fn hosts_that_one_deploy_has_cut_off_come_back_one_by_one() {
        let problem = "the relay hung up".to_owned();
        let closed = Lost::Closed {
            code: 1012,
            reason: String::new(),
        };
        for cut_off in [Lost::Broken { problem }, closed] {
            let rest = |failures, jitter| cut_off.rest(failures, jitter).as_millis();
            assert_eq!([0.0, 0.5, 1.0].map(|at| rest(1, at)), [1000, 5500, 10_000]);
            assert_eq!((rest(2, 1.0), rest(5, 0.0)), (2000, 32_000));
        }
    }

    #[test]
    fn what_will_hardly_change_is_tried_rarely_and_a_relay_that_wants_rest_gets_it() {
        let message = String::new;
        let minutes = |lost: Lost| lost.rest(1, 0.0).as_secs() / 60;
        assert_eq!(minutes(Lost::Replaced), 30);
        assert_eq!(minutes(RelayError::Token { message: message() }.into()), 30);
        let absent = RelayError::Refused {
            status: 404,
            message: message(),
        };
        assert_eq!(minutes(absent.into()), 30);
        let busy = RelayError::Busy {
            status: 503,
            message: message(),
            retry_after: Some(Duration::from_secs(600)),
        };
        assert_eq!(minutes(busy.into()), 10);
    }
}
