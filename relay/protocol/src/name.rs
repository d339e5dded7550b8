//! The names of the contract, each a type that only valid text becomes.
//!
//! Attackers choose branch and repository names, so nothing here is ever part of a shell string.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Why some text is not the name that it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} {text:?} is not valid: {rule}")]
pub struct NameError {
    /// What the text should have been, for instance `channel`.
    pub what: &'static str,
    /// The text, cut to 80 characters.
    pub text: String,
    /// What is valid.
    pub rule: &'static str,
}

impl NameError {
    fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        let text = text.chars().take(80).collect();
        Self { what, text, rule }
    }
}

/// `first` then up to `max - 1` of `rest`, all ASCII bytes.
fn is_name(text: &str, max: usize, first: fn(u8) -> bool, rest: fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    text.len() <= max && bytes.next().is_some_and(first) && bytes.all(rest)
}

fn lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError::new($what, text, $rule))
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The stream that an intent belongs to and a host subscribes to: a GitHub repository's full
    /// name in lower case, or a name without a slash for manual intents only.
    Channel,
    "channel",
    "use owner/repo in lower case, or [a-z0-9][a-z0-9._-]{0,62}",
    |text| match text.split_once('/') {
        Some((owner, repo)) =>
            is_name(owner, 100, lower_or_digit, |b| lower_or_digit(b) || b"-_.".contains(&b))
                && is_name(repo, 100, |b| lower_or_digit(b) || b"._-".contains(&b), |b| {
                    lower_or_digit(b) || b"._-".contains(&b)
                }),
        None => is_name(text, 63, lower_or_digit, |b| lower_or_digit(b) || b"._-".contains(&b)),
    }
);

impl Channel {
    /// The channel of a GitHub repository, whose full name GitHub compares without case.
    ///
    /// # Errors
    /// When `full_name` is not `owner/repo`.
    pub fn of_repository(full_name: &str) -> Result<Self, NameError> {
        let channel: Self = full_name.to_ascii_lowercase().parse()?;
        if channel.is_repository() {
            Ok(channel)
        } else {
            Err(NameError::new("repository", full_name, "use owner/repo"))
        }
    }

    /// Whether this is a repository's channel, as opposed to one for manual intents.
    pub fn is_repository(&self) -> bool {
        self.0.contains('/')
    }
}

name!(
    /// A host, as its token names it.
    HostName,
    "host",
    "use [a-z0-9][a-z0-9_-]{0,62}",
    |text| is_name(text, 63, lower_or_digit, |b| lower_or_digit(b) || b"_-".contains(&b))
);

name!(
    /// Something that a host runs, as its own file names it.
    ServiceName,
    "service",
    "use [a-z0-9][a-z0-9_-]{0,62}",
    |text| is_name(text, 63, lower_or_digit, |b| lower_or_digit(b) || b"_-".contains(&b))
);

name!(
    /// A git commit: 40 lower-case hex digits, or 64 in a SHA-256 repository.
    Sha,
    "commit",
    "use 40 or 64 lower-case hex digits",
    |text| matches!(text.len(), 40 | 64) && text.bytes().all(is_lower_hex)
);

impl Sha {
    /// The first 7 digits, as people and image tags abbreviate a commit.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

name!(
    /// The digest of an image manifest, `sha256:` and 64 lower-case hex digits
    /// (OCI image specification, section "Digests").
    Digest,
    "digest",
    "use sha256: and 64 lower-case hex digits",
    |text| text
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_lower_hex))
);

impl Digest {
    /// The first 12 hex digits, enough for people and local tags.
    pub fn short(&self) -> &str {
        self.0.get(7..19).unwrap_or(&self.0)
    }
}

name!(
    /// A git tag or image tag that may be put into a template.
    GitTag,
    "tag",
    "use [A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
    |text| is_name(text, 128, |b| b.is_ascii_alphanumeric() || b == b'_', |b| {
        b.is_ascii_alphanumeric() || b"._-".contains(&b)
    })
);

name!(
    /// An intent's identity: the same cause gives the same id.
    IntentId,
    "intent id",
    "use in_ and 26 characters of lower-case base32",
    |text| text.strip_prefix("in_").is_some_and(|id| {
        id.len() == 26 && id.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
    })
);

impl IntentId {
    /// The id of the intent that `dedupe_key` stands for: `in_` and the lower-case base32 of the
    /// first 16 bytes of the key's SHA-256.
    pub fn of_key(dedupe_key: &str) -> Self {
        let hash = Sha256::digest(dedupe_key.as_bytes());
        let head = hash.first_chunk::<16>().copied().unwrap_or_default();
        Self(format!(
            "in_{}",
            BASE32_NOPAD.encode(&head).to_ascii_lowercase()
        ))
    }
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok<T: FromStr<Err = NameError>>(text: &str) -> bool {
        text.parse::<T>().is_ok()
    }

    #[test]
    fn a_channel_is_a_repository_in_lower_case_or_one_word() {
        for good in ["octo-org/web", "o/.github", "fleet", "a.b_c-d", "0/0"] {
            assert!(ok::<Channel>(good), "{good}");
        }
        for bad in [
            "",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "Octo/web",
            "-a",
            "a b",
            "a\n",
            &"x".repeat(64),
        ] {
            assert!(!ok::<Channel>(bad), "{bad:?}");
        }
        assert_eq!(
            Channel::of_repository("Octo-Org/Web").unwrap().as_str(),
            "octo-org/web"
        );
        assert!(Channel::of_repository("fleet").is_err());
    }

    #[test]
    fn hosts_and_services_are_short_lower_case_words() {
        assert!(ok::<HostName>("pi-4_b") && ok::<ServiceName>("web"));
        for bad in ["", "Web", "a.b", "_a", "a/b", &"x".repeat(64)] {
            assert!(!ok::<HostName>(bad) && !ok::<ServiceName>(bad), "{bad:?}");
        }
    }

    #[test]
    fn commits_digests_and_tags_match_their_types_or_are_refused() {
        assert!(ok::<Sha>(&"a".repeat(40)) && ok::<Sha>(&"0".repeat(64)));
        assert!(!ok::<Sha>(&"A".repeat(40)) && !ok::<Sha>(&"a".repeat(41)) && !ok::<Sha>("main"));
        assert!(ok::<Digest>(&format!("sha256:{}", "0".repeat(64))));
        assert!(!ok::<Digest>(&"0".repeat(64)) && !ok::<Digest>("sha512:00"));
        assert!(ok::<GitTag>("v1.2.3") && ok::<GitTag>("_x"));
        for bad in ["", "-x", ".x", "a/b", "a$(id)", &"x".repeat(129)] {
            assert!(!ok::<GitTag>(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_same_cause_gives_the_same_id_and_another_cause_another() {
        let one = IntentId::of_key("run:1296269:30433642:1");
        assert_eq!(one, IntentId::of_key("run:1296269:30433642:1"));
        assert_ne!(one, IntentId::of_key("run:1296269:30433642:2"));
        assert_eq!(one.as_str().parse::<IntentId>().unwrap(), one);
    }

    #[test]
    fn an_error_names_what_was_wrong_and_what_is_right() {
        let error = "Web".parse::<ServiceName>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"service "Web" is not valid: use [a-z0-9][a-z0-9_-]{0,62}"#
        );
    }
}
