//! The runtime's Web Crypto: randomness.

use web_sys::WorkerGlobalScope;
use worker::{js_sys, wasm_bindgen::JsCast};

use crate::error::Fault;

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
