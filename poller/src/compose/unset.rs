//! The variables that Compose found unset. Pure.
//!
//! Compose goes on with an empty text for such a variable and says so in a warning only. Its words are all that there is to
//! go by, so that they are tried before on a file of ours ([`PROBE`]): a Compose that says it otherwise is not believed.

use std::collections::BTreeSet;

/// A project with one variable that nobody sets.
pub(super) const PROBE: &str = "services: {probe: {image: \"probe:${TOWLINE_UNSET_PROBE}\"}}\n";
/// The variable in it.
pub(super) const PROBED: &str = "TOWLINE_UNSET_PROBE";

/// The names in what Compose wrote to standard error.
pub(super) fn unset(lines: &[String]) -> BTreeSet<String> {
    lines.iter().filter_map(|line| name(line)).collect()
}

/// The name in `The "NAME" variable is not set`, whose quotes are escaped within a log line.
fn name(line: &str) -> Option<String> {
    let (before, _) = line.split_once(" variable is not set")?;
    let before = before.trim_end_matches('"').trim_end_matches('\\');
    let (_, name) = before.rsplit_once('"')?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// What to do about them.
pub(super) fn words(names: &[String]) -> String {
    let all = names.join(", ");
    let (are, have) = if names.len() == 1 {
        ("is", "has")
    } else {
        ("are", "have")
    };
    let first = names.first().map(String::as_str).unwrap_or_default();
    let ours = names
        .iter()
        .find(|name| matches!(name.as_str(), "TOWLINE_SHA" | "TOWLINE_TAG"));
    let hint = match ours {
        Some(ours) => format!("this deploy knows no {ours}; `${{{ours}:-latest}}` would have one"),
        None => format!(
            "set it in `.env` or `env_file`, or write `${{{first}:-}}` where nothing is meant"
        ),
    };
    format!("{all} {are} not set and {have} no default: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_a_log_line_and_in_a_plain_one_and_told_once() {
        let lines = [
            r#"time="2026-11-21T22:24:57Z" level=warning msg="The \"DB\" variable is not set. Defaulting to a blank string.""#,
            r#"WARN[0000] The "API_KEY" variable is not set. Defaulting to a blank string."#,
            r#"WARN[0000] The "DB" variable is not set. Defaulting to a blank string."#,
            "the attribute `version` is obsolete",
        ];
        let found: Vec<_> = unset(&lines.map(str::to_owned)).into_iter().collect();
        assert_eq!(found, ["API_KEY", "DB"]);
    }

    #[test]
    fn what_to_do_is_said_of_a_variable_of_the_users_and_of_one_of_ours() {
        let users = words(&["A".to_owned(), "B".to_owned()]);
        assert!(users.starts_with("A, B are not set and have no default"));
        assert!(users.contains("`${A:-}`"), "{users}");
        let ours = words(&["TOWLINE_TAG".to_owned()]);
        assert!(ours.contains("this deploy knows no TOWLINE_TAG"), "{ours}");
    }
}
