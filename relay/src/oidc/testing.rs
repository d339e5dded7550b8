//! RS256 in Rust, and keys to sign with: what the tests have in place of Web Crypto and of GitHub.

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use rsa::{
    BigUint, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey,
    rand_core::OsRng,
    sha2::{Digest, Sha256},
    traits::PublicKeyParts,
};
use serde_json::{Value, json};

use super::{jwt::Rs256, keys::RsaKey};
use crate::error::Fault;

/// The crate `rsa`.
pub(super) struct Pure;

impl Rs256 for Pure {
    async fn verify(&self, key: &RsaKey, signed: &[u8], signature: &[u8]) -> Result<bool, Fault> {
        let number = BigUint::from_bytes_be;
        let key =
            RsaPublicKey::new_with_max_size(number(key.modulus()), number(key.exponent()), 8192);
        let key = key.map_err(|error| Fault::storage("rsa", error))?;
        let hash = Sha256::digest(signed);
        Ok(key
            .verify(Pkcs1v15Sign::new::<Sha256>(), &hash, signature)
            .is_ok())
    }
}

/// Two keys of 2048 bits, made once.
pub(super) static KEYS: LazyLock<[RsaPrivateKey; 2]> =
    LazyLock::new(|| [(); 2].map(|()| RsaPrivateKey::new(&mut OsRng, 2048).unwrap()));

pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// The key as an issuer publishes it.
pub(super) fn jwk(kid: &str, key: &RsaPrivateKey) -> Value {
    json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "x5t": "passed over",
        "n": base64(&key.n().to_bytes_be()), "e": base64(&key.e().to_bytes_be()),
    })
}

/// The token of these two texts, signed.
pub(super) fn sign(key: &RsaPrivateKey, header: &str, payload: &str) -> String {
    let signed = format!(
        "{}.{}",
        base64(header.as_bytes()),
        base64(payload.as_bytes())
    );
    let hash = Sha256::digest(signed.as_bytes());
    let signature = key.sign(Pkcs1v15Sign::new::<Sha256>(), &hash).unwrap();
    format!("{signed}.{}", base64(&signature))
}
