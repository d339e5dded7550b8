//! The issuer's keys: a JWK Set (RFC 7517) read for RS256, which may hold keys for other purposes too.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::Value;

/// The largest set that is read, in bytes.
pub const MAX_SET: usize = 64 * 1024;

/// Bits of the smallest key that counts (RFC 7518, section 3.3).
const MIN_BITS: usize = 2048;

/// Bits of the largest key that counts: a larger one only costs time.
const MAX_BITS: usize = 8192;

/// Bytes of the largest exponent that counts; the usual one, 65537, has three.
const MAX_EXPONENT: usize = 8;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaKey {
    kid: String,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// The keys of an issuer that may have signed a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<RsaKey>);

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: String,
    n: String,
    e: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
}

impl KeySet {
    /// Reads a set. What is no RSA key for signatures by RS256 is left out: it is for somebody else.
    ///
    /// # Errors
    /// When it is no set, or none of its keys counts.
    pub fn read(json: &str) -> Result<Self, String> {
        let raw: RawSet = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let keys: Vec<_> = raw.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() {
            return Err("it has no RSA key for signatures of at least 2048 bits".to_owned());
        }
        Ok(Self(keys))
    }

    /// The key of this name, if only one has it.
    pub fn find(&self, kid: &str) -> Option<&RsaKey> {
        let mut found = self.0.iter().filter(|key| key.kid == kid);
        found.next().filter(|_| found.next().is_none())
    }
}

impl RsaKey {
    /// The modulus, most significant byte first and not zero.
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The exponent, most significant byte first and not zero.
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }
}

fn key(raw: Value) -> Option<RsaKey> {
    let raw: RawKey = serde_json::from_value(raw).ok()?;
    let signs = raw.kty == "RSA"
        && raw.purpose.is_none_or(|purpose| purpose == "sig")
        && raw.alg.is_none_or(|alg| alg == "RS256");
    let (modulus, exponent) = (number(&raw.n)?, number(&raw.e)?);
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    let counts = signs
        && (MIN_BITS..=MAX_BITS).contains(&bits(&modulus))
        && odd(&modulus)
        // With the exponent 1 every text is its own signature.
        && odd(&exponent) && exponent != [1] && exponent.len() <= MAX_EXPONENT;
    counts.then_some(RsaKey {
        kid: raw.kid,
        modulus,
        exponent,
    })
}

/// A number in base64url without the zeros before it, which some issuers write.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    let spare = number.first().map_or(0, |byte| byte.leading_zeros());
    number
        .len()
        .saturating_mul(8)
        .saturating_sub(spare as usize)
}
