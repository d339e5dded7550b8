//! Every way in which the relay says no, and the one place that gives each its status, code and words.
//!
//! What an operator must know and a stranger must not (which variable is wrong, what storage said) is a
//! [`Fault`]: it goes to the log, never into an answer.

use thiserror::Error;

use crate::settings::SettingsError;

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such path.
    #[error("there is nothing here; see docs/protocol.md for what the relay serves")]
    NoSuchPath,
    /// The path is known and knows another method.
    #[error("use {allow} here")]
    WrongMethod {
        /// What the path does know, as the `Allow` header says it.
        allow: &'static str,
    },
    /// The webhook was not sent as JSON.
    #[error(
        "send application/json: in the webhook's settings on GitHub, set \"Content type\" to application/json"
    )]
    HookContentType,
    /// A request of ours was not sent as JSON.
    #[error("send application/json")]
    ContentType,
    /// The body is over the cap.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The cap, in bytes.
        limit: usize,
    },
    /// The webhook's signature is missing, malformed or wrong: one answer for all three.
    #[error("X-Hub-Signature-256 is missing or is not this relay's signature of the body")]
    BadSignature,
    /// The signed delivery is not what its headers say.
    #[error("{0}")]
    BadDelivery(String),
    /// A request that cannot be understood.
    #[error("{0}")]
    BadRequest(String),
    /// No token, a malformed one, one of another key, or a revoked one: one answer for all.
    #[error(
        "send Authorization: Bearer TOKEN with a token that was made with this relay's TOKEN_KEY and is not revoked"
    )]
    BadToken,
    /// The token is good and does not allow this.
    #[error("{0}")]
    Forbidden(String),
    /// Too many requests of this address have failed; only what fails is told so.
    #[error("too many requests from this address have failed; wait a minute, then mend what fails")]
    TooManyFailures,
    /// No such intent.
    #[error("no intent has this id, or it is older than what the relay keeps")]
    NoSuchIntent,
    /// The key of the request belongs to another one.
    #[error(
        "this Idempotency-Key, or this token of GitHub Actions, was used for another request; use a new one"
    )]
    Conflict,
    /// The caller speaks a protocol that this relay does not.
    #[error("this relay speaks Towline-Protocol 1; update the relay, or use an older client")]
    Protocol,
    /// The doorbell was asked for without a WebSocket.
    #[error("open a WebSocket here: send Upgrade: websocket and the rest of its handshake")]
    NotAnUpgrade,
    /// The relay cannot do its work now; the log says why.
    #[error("the relay cannot do this now; its log says why")]
    Unavailable(Fault),
}

/// Why the relay cannot do its work: for the log only.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A variable or secret of the Worker is missing or wrong.
    #[error("configuration: {0}")]
    Settings(#[from] SettingsError),
    /// KV, the hub or the runtime failed.
    #[error("storage: {0}")]
    Storage(String),
}

impl Fault {
    /// What some storage said, cut to its first line: exceptions bring their stack along.
    pub fn storage(what: &str, error: impl std::fmt::Display) -> Self {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Self::Storage(format!("{what}: {line}"))
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault)
    }
}

impl From<SettingsError> for Refusal {
    fn from(error: SettingsError) -> Self {
        Self::Unavailable(Fault::Settings(error))
    }
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadDelivery(_) | Self::BadRequest(_) => 400,
            Self::BadSignature | Self::BadToken => 401,
            Self::Forbidden(_) => 403,
            Self::NoSuchPath | Self::NoSuchIntent => 404,
            Self::WrongMethod { .. } => 405,
            Self::Conflict => 409,
            Self::TooLarge { .. } => 413,
            Self::HookContentType | Self::ContentType => 415,
            Self::Protocol | Self::NotAnUpgrade => 426,
            Self::TooManyFailures => 429,
            Self::Unavailable(_) => 503,
        }
    }

    /// The `code` of the error's body, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchPath | Self::NoSuchIntent => "not_found",
            Self::WrongMethod { .. } => "method_not_allowed",
            Self::HookContentType | Self::ContentType => "unsupported_media_type",
            Self::TooLarge { .. } => "too_large",
            Self::BadSignature => "bad_signature",
            Self::BadDelivery(_) => "bad_delivery",
            Self::BadRequest(_) => "bad_request",
            Self::BadToken => "bad_token",
            Self::Forbidden(_) => "forbidden",
            Self::Conflict => "conflict",
            Self::Protocol => "unsupported_protocol",
            Self::NotAnUpgrade => "upgrade_required",
            Self::TooManyFailures => "too_many_failures",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// What the log says beyond the answer's own words.
    pub fn for_the_log(&self) -> String {
        if let Self::Unavailable(fault) = self {
            fault.to_string()
        } else {
            self.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_to_the_log_and_not_to_the_caller() {
        let fault = Fault::Settings(SettingsError {
            variable: "TOKEN_KEY",
            problem: "is not set".to_owned(),
        });
        let refusal = Refusal::from(fault);
        assert!(!refusal.to_string().contains("TOKEN_KEY"));
        assert!(refusal.for_the_log().contains("TOKEN_KEY is not set"));
        assert_eq!(refusal.status(), 503);
    }
}
