//! The doorbell: the frames on the WebSocket between a host and the hub, and what a host says of itself.
//!
//! Text frames, each a JSON object with `type`. A bare `ping` is answered by a bare `pong` and is no frame. A reader
//! passes over types that it does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    intent::Intent,
    mark::Mark,
    name::{Channel, ServiceName},
    report::{Report, Side},
};

/// What a host asks the connection to be kept open with, every minute; it is answered without waking the hub.
pub const PING: &str = "ping";

/// The answer to [`PING`].
pub const PONG: &str = "pong";

/// A frame of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToHub {
    /// The first frame: who is there, and what it has. Answered by a ring for everything newer.
    Hello(Hello),
    /// A report, answered by an ack.
    Report {
        /// The sender's name for this frame, for the ack; without it the ack names the intent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The report.
        #[serde(flatten)]
        report: Box<Report>,
    },
    /// A newer host's.
    #[serde(other)]
    Unknown,
}

/// A frame of the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToHost {
    /// An intent that the host has not seen.
    Ring {
        /// The intent.
        intent: Box<Intent>,
    },
    /// Reports that need not be sent again.
    Ack {
        /// What [`ToHub::Report`] named them.
        ids: Vec<String>,
    },
    /// A newer hub's.
    #[serde(other)]
    Unknown,
}

/// What a host says of itself: the first frame on a doorbell, and the body of `POST /v1/hello`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The poller's version.
    pub version: String,
    /// How far each channel that it listens to was read, as `EPOCH.SEQ`.
    #[serde(default, with = "marks")]
    pub marks: BTreeMap<Channel, Mark>,
    /// What it runs.
    #[serde(default)]
    pub services: Vec<ServiceState>,
}

/// A service of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Its name.
    pub name: ServiceName,
    /// The channel that its rule names.
    pub channel: Channel,
    /// What it is, for instance `docker`.
    pub kind: String,
    /// What runs, if that is known.
    #[serde(default)]
    pub running: Option<Side>,
}

/// Marks by channel, each as the text `EPOCH.SEQ`.
mod marks {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::{mark::Mark, name::Channel};

    pub(super) fn serialize<S: Serializer>(
        marks: &BTreeMap<Channel, Mark>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(
            marks
                .iter()
                .map(|(channel, mark)| (channel, mark.to_string())),
        )
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Channel, Mark>, D::Error> {
        let texts = BTreeMap::<Channel, String>::deserialize(from)?;
        let mark = |(channel, text): (Channel, String)| {
            Ok((channel, text.parse().map_err(D::Error::custom)?))
        };
        texts.into_iter().map(mark).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hello_reads_as_the_contract_writes_it() {
        let text = json!({
            "type": "hello", "version": "0.1.0", "marks": {"octo-org/web": "1795186000000.42"},
            "services": [{"name": "web", "channel": "octo-org/web", "kind": "docker", "running": null}],
        });
        let ToHub::Hello(hello) = serde_json::from_value(text.clone()).unwrap() else {
            panic!("a hello");
        };
        assert_eq!(hello.marks.values().next().unwrap().seq, 42);
        assert_eq!(serde_json::to_value(ToHub::Hello(hello)).unwrap(), text);
    }

    #[test]
    fn a_report_is_a_report_with_a_type_and_maybe_a_name_for_the_ack() {
        let text = json!({
            "type": "report", "id": "17", "intent": "in_aaaaaaaaaaaaaaaaaaaaaaaaaa", "attempt": 1,
            "started_at": "2026-11-20T15:00:00Z", "service": "web", "outcome": "succeeded",
        });
        let frame: ToHub = serde_json::from_value(text).unwrap();
        let ToHub::Report { id, report } = frame else {
            panic!("a report");
        };
        assert_eq!((id.as_deref(), report.attempt), (Some("17"), 1));
    }

    #[test]
    fn a_frame_of_a_newer_version_is_no_error() {
        let newer = r#"{"type": "sing", "song": [1]}"#;
        assert_eq!(
            serde_json::from_str::<ToHub>(newer).unwrap(),
            ToHub::Unknown
        );
        assert_eq!(
            serde_json::from_str::<ToHost>(newer).unwrap(),
            ToHost::Unknown
        );
    }
}
