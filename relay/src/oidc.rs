//! Who asks by a token of GitHub Actions (OpenID Connect), instead of by one that was made with `TOKEN_KEY`.
//!
//! In [`jwt`] the token up to its signature, in [`keys`] the issuer's keys and in [`cache`] when to fetch them,
//! in [`claims`] what the token says, in [`policy`] whom the relay lets in. All pure: the keys are fetched by
//! [`crate::jwks`], signatures are checked by whatever is [`jwt::Rs256`], in the Worker [`crate::webcrypto`].
//!
//! The order of checks: size and shape, algorithm, a known key, the signature, and only then what is said:
//! issuer, audience, time, and last the policy. Nothing that a token says chooses where keys come from.

use thiserror::Error;

use crate::error::Refusal;

pub mod cache;
pub mod claims;
pub mod jwt;
pub mod keys;
pub mod policy;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

/// Why a token is not taken. For the log: the caller learns whether the token is good, no more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// There is no policy.
    #[error(
        "the variables oidc and PUBLIC_URL are not set, so that no workflow may; see docs/configuration.md"
    )]
    NoPolicy,
    /// Too large, not three parts, not base64url.
    #[error(
        "it is not three parts of base64url of at most {} bytes together",
        jwt::MAX_TOKEN
    )]
    Malformed,
    /// The header is not what it must be.
    #[error("its header is wrong: {0}")]
    Header(String),
    /// The issuer has no such key.
    #[error("its issuer has no key {0:?}")]
    UnknownKey(String),
    /// The signature is not the key's.
    #[error("its signature is not its issuer's")]
    Signature,
    /// The claims are not what GitHub writes.
    #[error("its claims are wrong: {0}")]
    Claims(String),
    /// The token is good, and of a repository that has nothing to do with this relay: anybody on GitHub can have one.
    #[error("{0}")]
    Stranger(String),
    /// The token is good, and its bearer may not do this.
    #[error("{0}")]
    Policy(String),
}

impl Denied {
    /// What the caller is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::NoPolicy
            | Self::Malformed
            | Self::Header(_)
            | Self::UnknownKey(_)
            | Self::Signature
            | Self::Claims(_)
            | Self::Stranger(_) => Refusal::BadToken,
            Self::Policy(_) => Refusal::Forbidden(
                "the relay's [vars.oidc] does not let this job in; the relay's log says why"
                    .to_owned(),
            ),
        }
    }
}

/// Enough of a text that a stranger chose to recognise it by.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(120).collect::<String>())
}
