//! The doorbell's decisions: what a frame is, which channels a hello subscribes to, who gets a ring.
//!
//! The sockets are the hub's ([`crate::hub`]), what it remembers of hosts its store's.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use towline_protocol::{
    Channel, Glob, Hello, HostName, MAX_CHANNELS, MAX_REQUEST_BODY, MAX_SERVICES, ToHub,
};

use crate::{api::report, error::Refusal, json};

/// How many of the newest intents a hello is answered with on each channel. What lies before is a gap,
/// which the host fills by asking.
pub const MAX_RINGS: u64 = 64;

/// The longest version of a poller that is kept, in bytes.
pub const MAX_VERSION: usize = 64;

/// The longest kind of a service that is kept, in bytes.
pub const MAX_KIND: usize = 32;

/// How long ago a host may have pinged that counts as connected. It pings every minute; one that lost its
/// power does not say so.
const ALIVE: SignedDuration = SignedDuration::from_secs(150);

/// The longest reason that a close may give, in bytes (RFC 6455, section 5.5).
const MAX_REASON: usize = 123;

/// Who is at the other end of a socket. It stays with the socket while the hub is out of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The host, as its token names it.
    pub host: HostName,
    /// The channels that its token allows.
    pub channels: Vec<Glob>,
    /// Whether it has said hello; before that it gets no rings.
    pub greeted: bool,
    /// When it came, in milliseconds since 1970.
    pub opened_ms: u64,
}

impl Caller {
    /// Whether its token allows the channel.
    pub fn allows(&self, channel: &Channel) -> bool {
        allows(&self.channels, channel)
    }

    /// Whether an intent of the channel is rung here. Subscriptions outlive a token, so its channels are
    /// looked at each time.
    pub fn hears(&self, channel: &Channel) -> bool {
        self.greeted && self.allows(channel)
    }
}

/// Why the hub closes a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code (RFC 6455, section 7.4), or one of ours from 4000 on.
    pub code: u16,
    /// For people.
    pub reason: String,
}

impl Close {
    /// The same host has connected anew.
    pub fn replaced() -> Self {
        Self::new(4001, "replaced: this host has connected again")
    }

    /// The hub cannot do its work now; the log says why.
    pub fn unavailable() -> Self {
        Self::new(1011, "the relay cannot do this now; its log says why")
    }

    fn new(code: u16, reason: &str) -> Self {
        let reason = reason.get(..reason.floor_char_boundary(MAX_REASON));
        Self {
            code,
            reason: reason.unwrap_or_default().to_owned(),
        }
    }
}

/// Whether a host whose doorbell is open is there, by when it was last heard on it.
pub fn is_there(heard_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(heard_at) <= ALIVE
}

/// Reads a text frame; what is over its cap in a report is cut.
///
/// # Errors
/// The close that answers a frame that is too long, or that is none.
pub fn frame(text: &str) -> Result<ToHub, Close> {
    if text.len() > MAX_REQUEST_BODY {
        let reason = format!("a frame has at most {MAX_REQUEST_BODY} bytes");
        return Err(Close::new(1009, &reason));
    }
    match serde_json::from_str(text) {
        Ok(ToHub::Report { id, mut report }) => {
            report::cap(&mut report);
            Ok(ToHub::Report { id, report })
        }
        Ok(frame @ (ToHub::Hello(_) | ToHub::Unknown)) => Ok(frame),
        Err(error) => Err(Close::new(1007, &format!("not a frame: {error}"))),
    }
}

/// The close that answers a binary frame.
pub fn binary() -> Close {
    Close::new(1003, "send text frames, each a JSON object with a type")
}

/// Reads the body of `POST /v1/hello`.
///
/// # Errors
/// 400 when it is no hello.
pub fn hello(body: &[u8]) -> Result<Hello, Refusal> {
    json::of_bytes(body)
        .map_err(|error| Refusal::BadRequest(format!("the body is not a hello: {error}")))
}

/// What a hello comes to under a token: the hello without what the token does not allow and what is over a
/// cap, and the channels that the token does not allow.
pub fn admitted(mut hello: Hello, globs: &[Glob]) -> (Hello, BTreeSet<Channel>) {
    let mut left_out = BTreeSet::new();
    hello.marks.retain(|channel, _| {
        let allowed = allows(globs, channel);
        if !allowed {
            left_out.insert(channel.clone());
        }
        allowed
    });
    hello.services.retain(|service| {
        let allowed = allows(globs, &service.channel);
        if !allowed {
            left_out.insert(service.channel.clone());
        }
        allowed
    });
    if let Some(beyond) = hello.marks.keys().nth(MAX_CHANNELS).cloned() {
        hello.marks.split_off(&beyond);
    }
    hello.services.truncate(MAX_SERVICES);
    report::cut(&mut hello.version, MAX_VERSION);
    for service in &mut hello.services {
        report::cut(&mut service.kind, MAX_KIND);
    }
    (hello, left_out)
}

fn allows(globs: &[Glob], channel: &Channel) -> bool {
    globs.iter().any(|glob| glob.matches(channel.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn channel(name: &str) -> Channel {
        name.parse().unwrap()
    }

    fn caller(greeted: bool) -> Caller {
        Caller {
            host: "pi".parse().unwrap(),
            channels: vec![Glob::new("octo-org/*")],
            greeted,
            opened_ms: 1000,
        }
    }

    fn code(text: &str) -> u16 {
        frame(text).unwrap_err().code
    }

    #[test]
    fn a_ring_is_for_who_has_said_hello_and_may_see_the_channel() {
        assert!(caller(true).hears(&channel("octo-org/web")));
        assert!(!caller(true).hears(&channel("elsewhere/web")));
        assert!(!caller(false).hears(&channel("octo-org/web")));
    }

    #[test]
    fn who_is_at_a_socket_reads_back_as_it_was_written() {
        let json = serde_json::to_string(&caller(true)).unwrap();
        assert_eq!(serde_json::from_str::<Caller>(&json).unwrap(), caller(true));
    }

    #[test]
    fn a_host_that_has_missed_two_pings_is_not_there_any_more() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(is_there(at(1000), at(1000)) && is_there(at(1000), at(1150)));
        assert!(!is_there(at(1000), at(1151)));
        assert!(is_there(at(1000), at(999)), "clocks differ");
    }

    #[test]
    fn frames_of_a_newer_poller_are_passed_over() {
        assert_eq!(frame(r#"{"type": "sing"}"#), Ok(ToHub::Unknown));
    }

    #[test]
    fn what_is_no_frame_closes_the_socket_and_says_why() {
        for bad in [
            "",
            "ring",
            "[]",
            "{}",
            r#"{"type": 1}"#,
            r#"{"type": "hello", "version": "1", "marks": {"octo-org/web": "1"}}"#,
            r#"{"type": "report", "intent": "in_x"}"#,
        ] {
            let close = frame(bad).unwrap_err();
            assert_eq!(close.code, 1007, "{bad}");
            assert!(
                close.reason.starts_with("not a frame: "),
                "{}",
                close.reason
            );
        }
    }

    #[test]
    fn a_frame_over_the_cap_is_not_parsed_and_one_at_the_cap_is() {
        let long = |bytes: usize| {
            let frame = json!({ "type": "sing", "song": "" }).to_string();
            frame.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - frame.len())))
        };
        assert_eq!(long(MAX_REQUEST_BODY).len(), MAX_REQUEST_BODY);
        assert_eq!(frame(&long(MAX_REQUEST_BODY)), Ok(ToHub::Unknown));
        assert_eq!(code(&long(MAX_REQUEST_BODY + 1)), 1009);
    }

    #[test]
    fn a_reason_for_closing_always_fits_into_a_close_frame() {
        let close =
            frame(&json!({ "type": "hello", "version": 1, "x": "é".repeat(200) }).to_string());
        assert!(close.unwrap_err().reason.len() <= MAX_REASON);
        assert!(Close::new(1007, &"é".repeat(200)).reason.len() <= MAX_REASON);
        for close in [Close::replaced(), Close::unavailable(), binary()] {
            assert!(close.reason.len() <= MAX_REASON, "{}", close.reason);
        }
    }

    #[test]
    fn a_report_in_a_frame_is_cut_to_its_caps_like_any_other() {
        let text = json!({
            "type": "report", "intent": "in_aaaaaaaaaaaaaaaaaaaaaaaaaa", "attempt": 1,
            "started_at": "2026-11-20T15:00:00Z", "message": "x".repeat(2 * report::MAX_MESSAGE),
        });
        let Ok(ToHub::Report { id: None, report }) = frame(&text.to_string()) else {
            panic!("a report");
        };
        assert_eq!(report.message.len(), report::MAX_MESSAGE);
    }

    #[test]
    fn a_hello_keeps_what_its_token_allows_and_says_what_it_does_not() {
        let hello: Hello = serde_json::from_value(json!({
            "version": "v".repeat(100),
            "marks": { "octo-org/web": "7.1", "elsewhere/web": "7.1" },
            "services": [
                { "name": "web", "channel": "octo-org/web", "kind": "k".repeat(100) },
                { "name": "spy", "channel": "elsewhere/api", "kind": "docker" },
            ],
        }))
        .unwrap();
        let (hello, left_out) = admitted(hello, &caller(true).channels);
        let channels: Vec<_> = hello.marks.keys().map(Channel::as_str).collect();
        assert_eq!(channels, ["octo-org/web"]);
        assert_eq!(hello.services.len(), 1);
        assert_eq!(hello.version.len(), MAX_VERSION);
        assert_eq!(hello.services[0].kind.len(), MAX_KIND);
        let left_out: Vec<_> = left_out.iter().map(Channel::as_str).collect();
        assert_eq!(left_out, ["elsewhere/api", "elsewhere/web"]);
    }

    #[test]
    fn a_hello_subscribes_to_no_more_than_one_poll_asks_for() {
        let many = |count: usize| -> Hello {
            let channel = |n: usize| format!("octo-org/c{n:04}");
            let marks: serde_json::Map<_, _> =
                (0..count).map(|n| (channel(n), json!("7.1"))).collect();
            let service =
                |n| json!({ "name": format!("s{n}"), "channel": channel(n), "kind": "docker" });
            let services: Vec<_> = (0..count).map(service).collect();
            let hello = json!({ "version": "1", "marks": marks, "services": services });
            serde_json::from_value(hello).unwrap()
        };
        let (most, left_out) = admitted(many(2500), &caller(true).channels);
        assert_eq!((most.marks.len(), most.services.len()), (99, 100));
        assert!(left_out.is_empty());
        let first = many(99);
        assert_eq!(admitted(first.clone(), &caller(true).channels).0, first);
        assert_eq!(most.marks, first.marks);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = frame(&text);
            let _ = hello(text.as_bytes());
        }
    }

    #[test]
    fn a_body_that_is_no_hello_is_400_and_says_where() {
        for bad in [&b""[..], b"[]", b"{}", b"{\"version\": 1}"] {
            let refusal = hello(bad).unwrap_err();
            assert_eq!(refusal.status(), 400);
            assert!(refusal.to_string().starts_with("the body is not a hello"));
        }
        assert!(hello(br#"{"version": "0.1.0"}"#).is_ok());
    }
}
