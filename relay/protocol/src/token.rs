//! Tokens: `tl1.CLAIMS.MAC`, checked without a look into any storage.
//!
//! CLAIMS is the unpadded base64url of the claims' JSON, MAC that of HMAC-SHA256 over the ASCII text
//! `tl1.CLAIMS` with the bytes of `TOKEN_KEY`. Revocation is a list in the relay's configuration.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

use crate::{
    glob::Glob,
    name::{Channel, HostName, NameError},
    secret::Secret,
};

/// The fewest bytes that a `TOKEN_KEY` may have.
pub const MIN_KEY_BYTES: usize = 32;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;

const PREFIX: &str = "tl1";

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Fetches intents and sends reports.
    Host,
    /// Queues intents and looks at the fleet.
    Operator,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Operator => "operator",
        })
    }
}

/// What a token says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// What it may do.
    pub role: Role,
    /// Who it is.
    pub name: HostName,
    /// The channels that it may touch.
    pub channels: Vec<Glob>,
    /// Counts the tokens made for this name, from 1; see [`Revocations`].
    #[serde(rename = "gen")]
    pub generation: u32,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
}

impl Claims {
    /// Whether the bearer may touch `channel`.
    pub fn allows(&self, channel: &Channel) -> bool {
        self.channels
            .iter()
            .any(|glob| glob.matches(channel.as_str()))
    }

    /// What `token` says of itself, without a look at its MAC: for its bearer, who has no key.
    ///
    /// # Errors
    /// When it is not a token, or made by a newer version.
    pub fn unverified(token: &str) -> Result<Self, TokenError> {
        let mut parts = token.split('.');
        let (prefix, claims) = (parts.next(), parts.next());
        match (prefix, claims, parts.next(), parts.next()) {
            (Some(PREFIX), Some(claims), Some(_), None) if token.len() <= MAX_TOKEN_BYTES => {
                decoded(claims)
            }
            _ => Err(TokenError::Malformed),
        }
    }
}

fn decoded(claims: &str) -> Result<Claims, TokenError> {
    let json = BASE64URL_NOPAD
        .decode(claims.as_bytes())
        .map_err(|_| TokenError::Claims)?;
    let text = std::str::from_utf8(&json).map_err(|_| TokenError::Claims)?;
    serde_json::from_str(text).map_err(|_| TokenError::Claims)
}

/// Why a token was not accepted. Answers to the network must not tell these apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is not `tl1.CLAIMS.MAC`.
    #[error("it is not of the form tl1.CLAIMS.MAC")]
    Malformed,
    /// The MAC is not this key's.
    #[error("it was not made with this TOKEN_KEY")]
    WrongKey,
    /// The MAC is right and the claims are not understood: made by a newer version.
    #[error("its claims are not understood by this version")]
    Claims,
}

/// The key that tokens are made and checked with.
///
/// Holds the keyed MAC, so that no use of it can fail any more.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The key has fewer than [`MIN_KEY_BYTES`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("TOKEN_KEY must have at least {MIN_KEY_BYTES} bytes; make one with: openssl rand -hex 32")]
pub struct ShortKey;

impl TokenKey {
    /// Takes the bytes of `TOKEN_KEY` as they are.
    ///
    /// # Errors
    /// When there are fewer than [`MIN_KEY_BYTES`].
    pub fn new(key: Secret) -> Result<Self, ShortKey> {
        let key = Some(key.expose()).filter(|key| key.len() >= MIN_KEY_BYTES);
        let mac = key.and_then(|key| Hmac::new_from_slice(key).ok());
        mac.map(Self).ok_or(ShortKey)
    }

    /// Makes the token that says `claims`.
    pub fn mint(&self, claims: &Claims) -> Secret {
        // Claims are plain strings and numbers, which always serialise.
        let json = serde_json::to_vec(claims).unwrap_or_default();
        let signed = format!("{PREFIX}.{}", BASE64URL_NOPAD.encode(&json));
        let mac = self.mac(&signed).finalize().into_bytes();
        Secret::new(format!("{signed}.{}", BASE64URL_NOPAD.encode(&mac)))
    }

    /// Checks `token` and returns what it says.
    ///
    /// # Errors
    /// See [`TokenError`]. The MAC is compared in constant time, before the claims are looked at.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let (signed, mac) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (prefix, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        if prefix != PREFIX {
            return Err(TokenError::Malformed);
        }
        let mac = BASE64URL_NOPAD
            .decode(mac.as_bytes())
            .map_err(|_| TokenError::Malformed)?;
        self.mac(signed)
            .verify_slice(&mac)
            .map_err(|_| TokenError::WrongKey)?;
        decoded(claims)
    }

    pub(crate) fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(signed.as_bytes());
        mac
    }
}

/// Which tokens count no longer: the Worker variable `REVOKED`, names separated by commas or spaces.
///
/// `name` revokes every generation, `name<3` those below 3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations(Vec<(HostName, Option<u32>)>);

impl Revocations {
    /// Whether a token with these claims was revoked.
    pub fn revokes(&self, claims: &Claims) -> bool {
        self.0.iter().any(|(name, below)| {
            *name == claims.name && below.is_none_or(|below| claims.generation < below)
        })
    }
}

impl FromStr for Revocations {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let entries = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|e| !e.is_empty());
        let entry = |entry: &str| match entry.split_once('<') {
            None => Ok((entry.parse()?, None)),
            Some((name, below)) => {
                let below = below.parse().map_err(|_| NameError {
                    what: "revocation",
                    text: entry.chars().take(80).collect(),
                    rule: "use NAME, or NAME<GENERATION with a whole number",
                })?;
                Ok((name.parse()?, Some(below)))
            }
        };
        entries.map(entry).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> TokenKey {
        TokenKey::new(Secret::new("a key for tests of thirty-two bytes or more")).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            role: Role::Host,
            name: "pi".parse().unwrap(),
            channels: vec![Glob::new("octo-org/*")],
            generation: 2,
            iat: 1_795_186_000,
        }
    }

    fn minted() -> String {
        key().mint(&claims()).expose_str().unwrap().to_owned()
    }

    #[test]
    fn a_token_says_what_it_was_made_to_say() {
        assert_eq!(key().verify(&minted()).unwrap(), claims());
    }

    #[test]
    fn its_bearer_can_read_a_token_without_the_key() {
        assert_eq!(Claims::unverified(&minted()).unwrap(), claims());
        for bad in [
            "",
            "tl1",
            "tl1.e30",
            "tl1.e30.AAAA.",
            "tl2.e30.AAAA",
            "tl1.e30.AAAA",
        ] {
            assert!(Claims::unverified(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_says_nothing_of_itself() {
        assert_eq!(format!("{:?}", key()), "***");
    }

    #[test]
    fn another_key_and_a_short_key_are_refused() {
        let other =
            TokenKey::new(Secret::new("another key for tests of thirty-two bytes")).unwrap();
        assert_eq!(other.verify(&minted()), Err(TokenError::WrongKey));
        assert!(TokenKey::new(Secret::new("x".repeat(31))).is_err());
    }

    #[test]
    fn what_is_not_a_token_is_malformed() {
        for bad in [
            "",
            "tl1",
            "tl1.",
            "tl1..",
            "tl2.e30.AAAA",
            "a.b.c.d",
            "tl1.e30.!!!!",
        ] {
            assert!(key().verify(bad).is_err(), "{bad:?}");
        }
        assert_eq!(key().verify(&"x".repeat(5000)), Err(TokenError::Malformed));
    }

    #[test]
    fn channels_are_globs_and_an_empty_list_allows_none() {
        let channel = |text: &str| text.parse::<Channel>().unwrap();
        assert!(claims().allows(&channel("octo-org/web")));
        assert!(!claims().allows(&channel("other/web")));
        assert!(
            !Claims {
                channels: vec![],
                ..claims()
            }
            .allows(&channel("octo-org/web"))
        );
    }

    #[test]
    fn revocation_is_by_name_or_by_generation() {
        let list: Revocations = "old, pi<2\n nas<9".parse().unwrap();
        assert!(!list.revokes(&claims()));
        assert!(list.revokes(&Claims {
            generation: 1,
            ..claims()
        }));
        assert!(list.revokes(&Claims {
            name: "old".parse().unwrap(),
            generation: 7,
            ..claims()
        }));
        assert!("pi<x".parse::<Revocations>().is_err() && "Pi".parse::<Revocations>().is_err());
        assert_eq!("".parse::<Revocations>().unwrap(), Revocations::default());
    }

    proptest! {
        #[test]
        fn one_changed_byte_anywhere_is_refused(at in 0usize..200, with in 0u8..128) {
            let mut bytes = minted().into_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != with);
            bytes[at] = with;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert!(key().verify(&changed).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            prop_assert!(key().verify(&text).is_err());
        }
    }
}
