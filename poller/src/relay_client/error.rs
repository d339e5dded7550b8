//! Why the relay did not do what it was asked, as far as callers act on it or operators need to know.

use std::time::Duration;

use thiserror::Error;
use towline_protocol::{ErrorBody, PROTOCOL_VERSION};

/// The longest that a relay may ask us to stay away.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

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
    /// What an answer means that is not the wanted one: its status, its `Location` and `Retry-After`, and its body.
    pub(crate) fn of_answer(
        origin: &str,
        status: u16,
        location: Option<&str>,
        retry_after: Option<&str>,
        body: &[u8],
    ) -> Self {
        let not_a_relay = |problem| Self::NotARelay {
            origin: origin.to_owned(),
            problem,
        };
        if (300..400).contains(&status) {
            let to = cut(location.unwrap_or_default());
            return not_a_relay(format!(
                "it redirects ({status}) to {to:?}, which is not followed"
            ));
        }
        let error: Option<ErrorBody> = serde_json::from_slice(body).ok();
        match (status, error.map(|body| cut(&body.error.message))) {
            (429 | 500..=599, message) => Self::Busy {
                status,
                message: message.unwrap_or_else(|| "no reason given".to_owned()),
                retry_after: retry_after
                    .and_then(|text| text.trim().parse().ok())
                    .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)),
            },
            // A proxy or another server says no in its own words, and not about the request.
            (_, None) => not_a_relay(format!("it answered {status} without the error of a relay")),
            (401, Some(message)) => Self::Token { message },
            (403, Some(message)) => Self::Forbidden { message },
            (426, Some(message)) => Self::Upgrade { message },
            (400..=499, Some(message)) => Self::Refused { status, message },
            (_, Some(_)) => not_a_relay(format!("unexpected status {status}")),
        }
    }

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

    /// Whether the relay does not know what it was asked for: it is an older one.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 404 | 405,
                ..
            }
        )
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

/// A stranger's text for a message: short and on one line.
pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
