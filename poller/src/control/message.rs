//! What is said over the control socket. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use towline_protocol::{Outcome, ServiceName};

use crate::{
    backup::BackupName,
    history::Entry,
    lock::{Length, LockName, Reason},
    status::Status,
};

/// The version of all this; the `v` of a request.
pub const VERSION: u64 = 1;

/// The longest request, in bytes.
pub const MAX_REQUEST: usize = 4096;

/// The longest line of an answer, in bytes.
pub const MAX_ANSWER: usize = 16 << 20;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// How the services stand.
    Status,
    /// How the last deploys ended.
    History {
        /// Of this service alone.
        service: Option<ServiceName>,
        /// At most so many.
        limit: u32,
    },
    /// An operator has seen to the service; answered when the loop has taken note of it.
    Resolve {
        /// The service.
        service: ServiceName,
    },
    /// Try the service's newest deploy again; answered when that has ended.
    Retry {
        /// The service.
        service: ServiceName,
    },
    /// Take the service back to a version that is kept; answered when that has ended.
    Rollback {
        /// The service.
        service: ServiceName,
        /// The version's digest or commit, or the beginning of one; without it the version before the current one.
        to: Option<String>,
    },
    /// Put the service's data back as they were at a backup; answered when that has ended.
    Restore {
        /// The service.
        service: ServiceName,
        /// The backup; without it the newest one.
        backup: Option<BackupName>,
        /// Whether nothing need stop the service for it.
        #[serde(default)]
        running: bool,
    },
    /// Hold deploys of the service off; answered at once, in the middle of a deploy too.
    Hold {
        /// The service.
        service: ServiceName,
        /// Who does it.
        name: LockName,
        /// For how long, in seconds.
        length: Length,
        /// What for.
        reason: Option<Reason>,
        /// Whether to answer only when what is under way with the service has ended.
        wait: bool,
    },
    /// Do not hold deploys of the service off any more; answered at once.
    Release {
        /// The service.
        service: ServiceName,
        /// Who has held it off; without one, nobody does any more.
        name: Option<LockName>,
    },
}

/// A line of an answer. `Waiting`, `Step` and `Now` may come before, of the others one, as the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Why it will take a while.
    Waiting(String),
    /// What was done just now.
    Step(String),
    /// What goes on just now; the next line takes its place.
    Now(String),
    /// How the services stand.
    Status(Box<Status>),
    /// How the last deploys ended, the newest first.
    History(Vec<Entry>),
    /// It is done; for people.
    Done(String),
    /// It has come to an end, good or bad.
    Ended(Ended),
    /// It is not done.
    Error(Refused),
}

/// How a deploy that was asked for has ended, or that it has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// For people.
    pub said: String,
    /// The outcomes that this brought about; none when it is still to be done.
    pub outcomes: Vec<Outcome>,
    /// Whether something could not be done all the same.
    pub failed: bool,
}

/// Why a request was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message}")]
pub struct Refused {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

/// Why a request was not fulfilled, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is not understood.
    BadRequest,
    /// It is of another version.
    Version,
    /// Whoever asks may not.
    Forbidden,
    /// Too much is asked at once.
    Busy,
    /// What is asked for may not or cannot be done now.
    Declined,
    /// The state could not be written.
    Failed,
}

impl Line {
    /// A refusal.
    pub fn refused(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Error(Refused { code, message })
    }

    /// As it is sent, with the end of its line.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

/// A request as it is sent, with the end of its line.
pub fn request(ask: &Ask) -> Vec<u8> {
    let mut request = json!(ask);
    if let Some(members) = request.as_object_mut() {
        members.insert("v".to_owned(), json!(VERSION));
    }
    let mut text = request.to_string().into_bytes();
    text.push(b'\n');
    text
}

/// Reads a request.
///
/// # Errors
/// The answer to it, when it is not one of this version.
pub fn parse(line: &[u8]) -> Result<Ask, Line> {
    let bad = |why: String| Line::refused(Code::BadRequest, why);
    let request: Value = serde_json::from_slice(line)
        .map_err(|error| bad(format!("expected one line of JSON: {error}")))?;
    match request.get("v").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(other) => {
            let message = format!(
                "the command and the running towline ({}) do not belong together: it speaks version {VERSION} over \
                 the control socket, not {other}; restart the service after an update",
                env!("CARGO_PKG_VERSION")
            );
            return Err(Line::refused(Code::Version, message));
        }
        None => return Err(bad("expected the version of the request, \"v\"".to_owned())),
    }
    serde_json::from_value(request).map_err(|_| {
        bad(
            "expected \"ask\": \"status\", \"history\", \"resolve\", \"retry\", \"rollback\", \"restore\", \"hold\" or \"release\", with what belongs to it"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all() -> Vec<Ask> {
        let service: ServiceName = "web".parse().unwrap();
        vec![
            Ask::Status,
            Ask::History {
                service: Some(service.clone()),
                limit: 20,
            },
            Ask::Resolve {
                service: service.clone(),
            },
            Ask::Retry {
                service: service.clone(),
            },
            Ask::Rollback {
                service: service.clone(),
                to: None,
            },
            Ask::Restore {
                service: service.clone(),
                backup: None,
                running: true,
            },
            Ask::Restore {
                service: service.clone(),
                backup: "20261121T221500Z-3484a3f.tar.gz".parse().ok(),
                running: false,
            },
            Ask::Hold {
                service: service.clone(),
                name: "dump".parse().unwrap(),
                length: Length::try_from(600).unwrap(),
                reason: "\u{1f40b}\"\\".repeat(66).parse().ok(),
                wait: true,
            },
            Ask::Release {
                service: service.clone(),
                name: None,
            },
            Ask::Release {
                service,
                name: Some(LockName::default()),
            },
        ]
    }

    fn refusal(line: &str) -> Refused {
        match parse(line.as_bytes()) {
            Err(Line::Error(refused)) => refused,
            other => unreachable!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_request_is_one_short_line_and_comes_back_as_it_was() {
        for ask in all() {
            let text = request(&ask);
            assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert!(text.ends_with(b"\n") && text.len() < MAX_REQUEST);
            assert_eq!(parse(&text), Ok(ask));
        }
    }

    #[test]
    fn a_request_of_another_version_says_what_to_do() {
        let refused = refusal(r#"{"v":2,"ask":"status"}"#);
        assert_eq!(refused.code, Code::Version);
        assert!(refused.message.contains("restart the service"), "{refused}");
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_was_expected() {
        for (line, told) in [
            ("", "one line of JSON"),
            ("status", "one line of JSON"),
            (r#"{"ask":"status"}"#, "\"v\""),
            (r#"{"v":"1","ask":"status"}"#, "\"v\""),
            (r#"{"v":1}"#, "\"ask\""),
            (r#"{"v":1,"ask":"reboot"}"#, "\"ask\""),
            (r#"{"v":1,"ask":"resolve"}"#, "\"ask\""),
            (r#"{"v":1,"ask":"resolve","service":"../web"}"#, "\"ask\""),
            (r#"{"v":1,"ask":"retry","services":"web"}"#, "\"ask\""),
            (
                r#"{"v":1,"ask":"rollback","service":"web","to":7}"#,
                "\"ask\"",
            ),
            (
                r#"{"v":1,"ask":"restore","service":"web","backup":"../x"}"#,
                "\"ask\"",
            ),
            (
                r#"{"v":1,"ask":"hold","service":"web","name":"dump","length":0,"wait":false}"#,
                "\"ask\"",
            ),
            (
                r#"{"v":1,"ask":"release","service":"web","name":"../x"}"#,
                "\"ask\"",
            ),
            ("[1]", "\"v\""),
        ] {
            let refused = refusal(line);
            assert_eq!(refused.code, Code::BadRequest, "{line}");
            assert!(refused.message.contains(told), "{line}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange_to_be_read(line: Vec<u8>) {
            let _ = parse(&line);
        }
    }
}
