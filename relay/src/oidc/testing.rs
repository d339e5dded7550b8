//! RS256 in Rust, and keys to sign with: what the tests have in place of Web Crypto and of GitHub.

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use rsa::{
    BigUint, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey,
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

/// Two keys that everybody knows: the examples of RFC 7515, appendix A.2, and RFC 7517, appendix A.2.
pub(super) static KEYS: LazyLock<[RsaPrivateKey; 2]> = LazyLock::new(|| {
    [
        include_str!("../../../tests/fixtures/keys/rfc7515-a2.json"),
        include_str!("../../../tests/fixtures/keys/rfc7517-a2.json"),
    ]
    .map(private)
});

fn private(jwk: &str) -> RsaPrivateKey {
    let jwk: Value = serde_json::from_str(jwk).unwrap();
    let [n, e, d] = ["n", "e", "d"].map(|member| {
        let bytes = BASE64URL_NOPAD.decode(jwk[member].as_str().unwrap().as_bytes());
        BigUint::from_bytes_be(&bytes.unwrap())
    });
    RsaPrivateKey::from_components(n, e, d, Vec::new()).unwrap()
}

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
