//! The `ping` event: GitHub tries a hook out when it is made.

use serde::Deserialize;

/// The `ping` event, sent when a hook is made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ping {
    /// A sentence of GitHub's; only its being there counts.
    pub zen: String,
    /// The hook's id.
    pub hook_id: u64,
    /// The hook as it is set up.
    pub hook: Option<Hook>,
}

/// A hook as it is set up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hook {
    /// How it sends them.
    pub config: Option<HookConfig>,
}

/// How a hook sends its deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HookConfig {
    /// Anything but `"0"` leaves the relay's certificate unchecked.
    pub insecure_ssl: Option<TextOrNumber>,
}

/// GitHub writes some settings as either.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TextOrNumber {
    /// As text.
    Text(String),
    /// As a number.
    Number(u64),
}

impl Ping {
    /// What in the hook's settings deserves a second look, if anything.
    pub fn warning(&self) -> Option<&'static str> {
        let config = self.hook.as_ref()?.config.as_ref()?;
        let off = config
            .insecure_ssl
            .as_ref()
            .is_some_and(|flag| !flag.is_zero());
        off.then_some("the hook does not verify this relay's certificate: enable SSL verification")
    }
}

impl TextOrNumber {
    fn is_zero(&self) -> bool {
        match self {
            Self::Text(text) => text == "0",
            Self::Number(number) => *number == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, read};

    #[test]
    fn a_ping_is_known_by_what_only_a_ping_has() {
        let ping = br#"{"zen": "Keep it logically awesome.", "hook_id": 1, "hook": null}"#;
        let Event::Ping(ping) = read("ping", ping).unwrap() else {
            panic!("a ping");
        };
        assert_eq!(ping.warning(), None);
        let shape = read("ping", br#"{"action": "completed"}"#).unwrap_err();
        assert!(
            shape
                .to_string()
                .contains("not a ping event: missing field `zen`")
        );
    }

    #[test]
    fn a_hook_that_skips_the_certificate_is_warned_of() {
        for (flag, warns) in [("\"0\"", false), ("\"1\"", true), ("0", false), ("1", true)] {
            let body = format!(
                r#"{{"zen": "", "hook_id": 1, "hook": {{"config": {{"insecure_ssl": {flag}}}}}}}"#
            );
            let Event::Ping(ping) = read("ping", body.as_bytes()).unwrap() else {
                panic!("a ping");
            };
            assert_eq!(ping.warning().is_some(), warns, "{flag}");
        }
    }
}
