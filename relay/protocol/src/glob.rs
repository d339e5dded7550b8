//! Patterns in the relay's gate and in tokens: `*` matches anything, `/` included; the rest is literal.

use std::fmt;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatchPattern;

/// A pattern in which `*` is the only wildcard.
///
/// `?` and `[` are ordinary characters; a branch may be called `what?`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// Takes any text as a pattern; there is no invalid one.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        // No name that is matched here can hold NUL, so that NUL as the single-character wildcard
        // leaves `?` literal.
        WildMatchPattern::<'*', '\0'>::new(&self.0).matches(text)
    }

    /// Whether the pattern is a plain name, without a wildcard.
    pub fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_crosses_slashes_and_everything_else_is_literal() {
        assert!(Glob::new("octo-org/*").matches("octo-org/web"));
        assert!(Glob::new("*").matches(""));
        assert!(Glob::new("release/*").matches("release/2026/11"));
        assert!(!Glob::new("main").matches("main2"));
        assert!(!Glob::new("mai?").matches("main"));
        assert!(Glob::new("what?").matches("what?"));
        assert!(!Glob::new("").matches("main"));
    }
}
