//! Why the relay did not do what it was asked, as far as callers act on it or operators need to know.

use std::time::Duration;

use thiserror::Error;
use towline_protocol::PROTOCOL_VERSION;

/// Why the relay did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RelayError {
    /// No connection, a broken one, or too slow.
    #[error("cannot reach the relay at {origin}: {problem}")]
    Unreachable {
        /// The relay.
        origin: String,
        /// What happened.
        problem: String,
    },
    /// Something answered that is not a relay.
    #[error("{origin} does not answer like a relay: {problem}; check `url` under [relay]")]
    NotARelay {
        /// What was asked.
        origin: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// 401: the token is not valid (any more).
    #[error(
        "the relay does not accept this host's token (401): {message}; make a new one with `towline token`"
    )]
    Token {
        /// The relay's words.
        message: String,
    },
    /// 403: the token is valid and not for this.
    #[error(
        "this host's token is not for this (403): {message}; make one with the right --channel"
    )]
    Forbidden {
        /// The relay's words.
        message: String,
    },
    /// 426: the relay does not speak our version.
    #[error(
        "the relay does not speak protocol version {PROTOCOL_VERSION} (426): {message}; update towline or the relay"
    )]
    Upgrade {
        /// The relay's words.
        message: String,
    },
    /// 429, or a server error: later, perhaps.
    #[error("the relay cannot serve now ({status}): {message}")]
    Busy {
        /// The HTTP status.
        status: u16,
        /// The relay's words.
        message: String,
        /// When it wants to be asked again, at most an hour.
        retry_after: Option<Duration>,
    },
    /// Another refusal.
    #[error("the relay refused ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The relay's words.
        message: String,
    },
}

impl RelayError {
    /// Whether the relay will never take this very request, however often it is sent.
    pub fn is_permanent(&self) -> bool {
        match self {
            // These say that the address or the moment is wrong, not the request.
            Self::Refused { status, .. } => !matches!(status, 404 | 405 | 408),
            // A token of another role is forbidden everything: another token will do. The relay leaves out single
            // reports that the token does not allow.
            Self::Forbidden { .. }
            | Self::Unreachable { .. }
            | Self::NotARelay { .. }
            | Self::Token { .. }
            | Self::Upgrade { .. }
            | Self::Busy { .. } => false,
        }
    }

    /// When the relay wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Busy { retry_after, .. } = self {
            *retry_after
        } else {
            None
        }
    }
}
