//! What programs mean by their ends, and how their words are told.

use std::time::Duration;

use crate::{process::MAX_TAIL, redact::Secrets};

/// The exit status by which a program asks for another time (`EX_TEMPFAIL` of sysexits).
pub(super) const TEMPFAIL: i32 = 75;
/// How soon a deploy is tried again that a program has put off.
pub(super) const POSTPONED: Duration = Duration::from_secs(5 * 60);
/// How much of a last line a message tells, in characters.
const TOLD: usize = 200;

/// Hidden before anything is cut off: the rest of a secret is one that nobody knows.
pub(super) fn without_secrets(tail: &str, secrets: &Secrets) -> String {
    if tail.len() + char::MAX.len_utf8() > MAX_TAIL {
        secrets.hide_in_tail(tail)
    } else {
        secrets.hide(tail)
    }
}

/// How a program has ended, with the last thing that it said.
pub(super) fn with_last_line(how: String, text: &str) -> String {
    let last = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty());
    let Some(last) = last else { return how };
    let mut chars = last.chars();
    let told: String = chars.by_ref().take(TOLD).collect();
    let more = if chars.next().is_some() { "..." } else { "" };
    format!("{how}: {told}{more}")
}
