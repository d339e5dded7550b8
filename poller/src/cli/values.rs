//! The command line's values: what is valid, and what to say otherwise. Pure.

use std::time::Duration;

use jiff::SignedDuration;
use towline_protocol::{Glob, Role};

use crate::history;

/// What a token is for.
pub(super) fn role(text: &str) -> Result<Role, &'static str> {
    match text {
        "host" => Ok(Role::Host),
        "operator" => Ok(Role::Operator),
        _ => Err("use host or operator"),
    }
}

/// A channel, or many.
pub(super) fn channel_glob(text: &str) -> Result<Glob, &'static str> {
    if text.is_empty()
        || text
            .chars()
            .any(|c| c.is_ascii_uppercase() || c.is_whitespace())
    {
        Err("channels are lower case, without spaces")
    } else {
        Ok(Glob::new(text))
    }
}

/// A digest, or the beginning of one.
pub(super) fn digest(text: &str) -> Result<String, &'static str> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if (1..=64).contains(&hex.len()) && hex.bytes().all(is_hex) {
        Ok(text.to_owned())
    } else {
        Err("use a digest such as sha256:6f0e..., or its beginning")
    }
}

/// A token's generation.
pub(super) fn generation(text: &str) -> Result<u32, &'static str> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or("use a whole number, 1 for the first token of this name")
}

/// How many ends of deploys.
pub(super) fn limit(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=history::MOST).contains(number));
    number.ok_or_else(|| format!("use a whole number from 1 to {}", history::MOST))
}

/// How often the relay is asked.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let wanted =
        || r#"use a duration such as "30s" or "5m", at least 1s and at most 24h"#.to_owned();
    let duration: SignedDuration = text.parse().map_err(|_| wanted())?;
    Duration::try_from(duration)
        .ok()
        .filter(|duration| (1..=24 * 60 * 60).contains(&duration.as_secs()))
        .ok_or_else(wanted)
}
