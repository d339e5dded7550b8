//! `towline token`.

use anyhow::Context;
use jiff::Timestamp;
use towline_protocol::{Claims, Glob, HostName, Role, TokenKey, token::MAX_TOKEN_BYTES};

/// The token, and the end of its line.
pub(super) fn token(
    key: &TokenKey,
    role: Role,
    name: HostName,
    channels: Vec<Glob>,
    generation: u32,
    now: Timestamp,
) -> anyhow::Result<String> {
    let token = key.mint(&Claims {
        role,
        name,
        channels,
        generation,
        iat: now.as_second(),
    });
    let text = token.expose_str().context("a token is always text")?;
    anyhow::ensure!(
        text.len() <= MAX_TOKEN_BYTES,
        "the token would be longer than {MAX_TOKEN_BYTES} bytes; use fewer channels, with `*`"
    );
    Ok(format!("{text}\n"))
}
