//! A token up to its signature: a JWS in compact form, signed with RS256 (RFC 7515, section 7.1).
//!
//! What a header may say beside `alg` and `kid` (`jwk`, `jku`, `x5u`: "take this key") is never looked at.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::{Denied, keys::RsaKey, shown};
use crate::{error::Fault, json};

/// The longest token that is looked at, in bytes. GitHub's have under two thousand.
pub const MAX_TOKEN: usize = 8 * 1024;

/// The longest name of a key, in bytes.
const MAX_KID: usize = 256;

/// Checks signatures: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section 3.3).
pub trait Rs256 {
    /// Whether `signature` is that of `signed` by `key`.
    fn verify(
        &self,
        key: &RsaKey,
        signed: &[u8],
        signature: &[u8],
    ) -> impl Future<Output = Result<bool, Fault>>;
}

/// A token of the right shape; nothing in it is known to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    kid: String,
    signed: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The payload of a token whose signature is its issuer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Vec<u8>);

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

impl Jwt {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is too large, not three parts, not for RS256, or names no key.
    pub fn read(token: &str) -> Result<Self, Denied> {
        if token.len() > MAX_TOKEN {
            return Err(Denied::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Denied::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Denied::Malformed)?;
        Ok(Self {
            kid: kid(&decoded(header)?)?,
            signed: signed.to_owned(),
            payload: decoded(payload)?,
            signature: decoded(signature)?,
        })
    }

    /// The name of the key that it should be signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Checks the signature; only then the payload can be had.
    ///
    /// # Errors
    /// [`Denied::Signature`], or inside of the fault that kept it from being checked.
    pub async fn verify(
        self,
        by: &impl Rs256,
        key: &RsaKey,
    ) -> Result<Result<Verified, Denied>, Fault> {
        // As long as the modulus (RFC 8017, section 8.2.2).
        let good = self.signature.len() == key.modulus().len()
            && by
                .verify(key, self.signed.as_bytes(), &self.signature)
                .await?;
        Ok(if good {
            Ok(Verified(self.payload))
        } else {
            Err(Denied::Signature)
        })
    }
}

impl Verified {
    /// What the issuer has signed.
    pub fn payload(&self) -> &[u8] {
        &self.0
    }
}

/// Also refuses a dot within: it is no base64.
fn decoded(part: &str) -> Result<Vec<u8>, Denied> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes());
    bytes.map_err(|_| Denied::Malformed)
}

fn kid(header: &[u8]) -> Result<String, Denied> {
    let header: Header = strict(header).map_err(Denied::Header)?;
    if header.alg != "RS256" {
        let alg = shown(&header.alg);
        return Err(Denied::Header(format!(
            "alg is {alg}, and only \"RS256\" is taken"
        )));
    }
    // RFC 7515, section 4.1.11: what is critical and not understood makes the token invalid.
    if header.crit.is_some() {
        return Err(Denied::Header("crit is not understood".to_owned()));
    }
    let kid = header.kid.filter(|kid| (1..=MAX_KID).contains(&kid.len()));
    kid.ok_or_else(|| Denied::Header("kid names no key".to_owned()))
}

/// Reads JSON that must have one meaning. What is wrong with it is for the log, which no stranger fills.
pub(super) fn strict<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    let problem =
        |error: serde_json::Error| error.to_string().chars().take(200).collect::<String>();
    let text = std::str::from_utf8(json).map_err(|_| "it is not UTF-8".to_owned())?;
    json::check(text).map_err(problem)?;
    serde_json::from_str(text).map_err(problem)
}
