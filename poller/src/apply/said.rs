//! What programs mean by their ends, and how their words are told.

use std::time::Duration;

use towline_protocol::report::log_tail;

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

/// What was said before and what was said then, as much of its end as a report may have. After a loss of the engine, logs
/// are read once more.
pub(super) fn join(mut before: String, then: &str) -> String {
    if before.contains(then) {
        return before;
    }
    if !before.is_empty() {
        before.push('\n');
    }
    before.push_str(then);
    log_tail(&before).to_owned()
}

#[cfg(test)]
mod tests {
    use towline_protocol::MAX_LOG_TAIL;

    use super::*;

    #[test]
    fn of_several_last_words_a_report_has_the_end() {
        assert_eq!(join(String::new(), "migrated"), "migrated");
        assert_eq!(join("migrated".to_owned(), ""), "migrated");
        let both = join("x".repeat(MAX_LOG_TAIL), "cannot go back");
        assert!(both.ends_with("x\ncannot go back"));
        assert_eq!(both.len(), MAX_LOG_TAIL);
    }
}
