//! The runtime's Web Crypto: randomness, and signatures by RS256.
//!
//! Unlike the hashing of deliveries, RSA is left to the runtime: in wasm it would be half the relay's code and
//! most of a request's time on the free plan.

use data_encoding::BASE64URL_NOPAD;
use web_sys::{CryptoKey, WorkerGlobalScope};
use worker::{
    js_sys::{self, Array, Object, Reflect},
    wasm_bindgen::{JsCast, JsValue},
    wasm_bindgen_futures::JsFuture,
};

use crate::{
    error::Fault,
    oidc::{jwt::Rs256, keys::RsaKey},
};

/// The name of RS256 in Web Crypto (W3C, "Web Cryptography", section 20).
const ALGORITHM: &str = "RSASSA-PKCS1-v1_5";

/// `crypto.subtle`.
#[derive(Clone, Copy, Debug)]
pub struct Subtle;

impl Rs256 for Subtle {
    async fn verify(&self, key: &RsaKey, signed: &[u8], signature: &[u8]) -> Result<bool, Fault> {
        let subtle = crypto()?.subtle();
        let key = subtle
            .import_key_with_object("jwk", &jwk(key)?, &algorithm()?, false, &usages())
            .map_err(failed)?;
        let key: CryptoKey = JsFuture::from(key).await.map_err(failed)?.unchecked_into();
        let good = subtle
            .verify_with_object_and_u8_array_and_u8_array(&algorithm()?, &key, signature, signed)
            .map_err(failed)?;
        let good = JsFuture::from(good).await.map_err(failed)?;
        Ok(good.is_truthy())
    }
}

fn jwk(key: &RsaKey) -> Result<Object, Fault> {
    object(&[
        ("kty", "RSA".into()),
        ("alg", "RS256".into()),
        ("n", BASE64URL_NOPAD.encode(key.modulus()).into()),
        ("e", BASE64URL_NOPAD.encode(key.exponent()).into()),
    ])
}

fn algorithm() -> Result<Object, Fault> {
    object(&[("name", ALGORITHM.into()), ("hash", "SHA-256".into())])
}

fn usages() -> JsValue {
    Array::of1(&"verify".into()).into()
}

fn object(members: &[(&str, JsValue)]) -> Result<Object, Fault> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &(*name).into(), value).map_err(failed)?;
    }
    Ok(object)
}

/// Sixteen random bytes.
///
/// # Errors
/// When the runtime has none.
pub fn random() -> Result<[u8; 16], Fault> {
    let mut bytes = [0; 16];
    let filled = crypto()?.get_random_values_with_u8_array(&mut bytes);
    filled.map_err(failed)?;
    Ok(bytes)
}

fn crypto() -> Result<web_sys::Crypto, Fault> {
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    global.crypto().map_err(failed)
}

fn failed(error: impl std::fmt::Debug) -> Fault {
    Fault::storage("web crypto", format!("{error:?}"))
}
