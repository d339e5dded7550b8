//! The WebSocket (RFC 6455); the only file that names `tungstenite`. The way into it is by hand, so that a refusal is
//! read to its end and told in the words that a poll's would be.

use std::{io::ErrorKind, sync::Arc, time::Instant};

use http::HeaderValue;
use rustls::ClientConfig;
use towline_protocol::{MAX_ANSWER, PROTOCOL_HEADER, PROTOCOL_VERSION, Secret};
use tungstenite::{
    Error, Message, WebSocket,
    error::ProtocolError,
    handshake::{client::generate_key, derive_accept_key},
    protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
};

use super::{
    head::{self, Head},
    link::Link,
    lost::Lost,
    wire::Wire,
};
use crate::{
    relay_client::{Deadlines, RelayError, cut},
    route::Route,
};

/// The code by which the hub ends a connection whose place another one of the same host has taken.
const REPLACED: u16 = 4001;

/// What nobody said (RFC 6455, section 7.4.1).
const NO_CODE: u16 = 1005;

/// An open WebSocket.
pub(super) struct Socket {
    socket: WebSocket<Link>,
}

impl Socket {
    /// Connects to the relay's doorbell.
    pub(super) fn open(
        route: &Route,
        trust: &Arc<ClientConfig>,
        token: &Secret,
        deadlines: Deadlines,
    ) -> Result<Self, RelayError> {
        let key = generate_key();
        let request = request(route, token, &key)?;
        let now = Instant::now();
        let (connect, total) = (now + deadlines.connect, now + deadlines.total);
        let mut link = Link::open(route, trust, connect, total)?;
        let origin = route.url.as_str();
        let answer =
            head::exchange(&mut link, &request).map_err(|problem| RelayError::Unreachable {
                origin: origin.to_owned(),
                problem,
            })?;
        if answer.status != 101 {
            return Err(RelayError::of_answer(
                origin,
                answer.status,
                answer.header("location"),
                answer.header("retry-after"),
                &answer.body(&mut link),
            ));
        }
        if !is_accepted(&answer, &key) {
            return Err(RelayError::NotARelay {
                origin: origin.to_owned(),
                problem: "it switches to a protocol (101) that is not the WebSocket asked for"
                    .to_owned(),
            });
        }
        link.wire().wait_until(None);
        let config = WebSocketConfig::default()
            .read_buffer_size(8 * 1024)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_ANSWER))
            .max_frame_size(Some(MAX_ANSWER));
        let socket = WebSocket::from_partially_read(link, answer.rest, Role::Client, Some(config));
        Ok(Self { socket })
    }

    /// The next text that has come; `None` when there is nothing now.
    pub(super) fn read(&mut self) -> Result<Option<String>, Lost> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(Some(text.as_str().to_owned())),
                Ok(Message::Close(frame)) => {
                    // Says goodbye too; whether it is heard does not matter any more.
                    let _ = self.socket.flush();
                    return Err(closed(frame.as_ref()));
                }
                Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                ) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Sends a text.
    pub(super) fn send(&mut self, text: &str) -> Result<(), Lost> {
        let sent = self.socket.send(Message::text(text));
        sent.map_err(|error| broken(&error))
    }

    /// Says goodbye, if that can be said at once.
    pub(super) fn leave(&mut self) {
        self.wire().wait_until(Some(Instant::now()));
        let goodbye = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        let _ = self.socket.close(Some(goodbye));
    }

    /// The wire at the bottom.
    pub(super) fn wire(&mut self) -> &mut Wire {
        self.socket.get_mut().wire()
    }
}

fn request(route: &Route, token: &Secret, key: &str) -> Result<Vec<u8>, RelayError> {
    let authorization = [b"Bearer ", token.expose()].concat();
    // Nothing of a token may begin another header.
    HeaderValue::from_bytes(&authorization).map_err(|_| RelayError::Token {
        message: "it holds a character that no token has".to_owned(),
    })?;
    let origin = route.url.as_str();
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let head = format!(
        "GET /v1/doorbell HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{PROTOCOL_HEADER}: {PROTOCOL_VERSION}\r\n\
         User-Agent: towline/{}\r\nAuthorization: ",
        env!("CARGO_PKG_VERSION")
    );
    Ok([head.as_bytes(), &authorization, b"\r\n\r\n"].concat())
}

fn is_accepted(answer: &Head, key: &str) -> bool {
    let upgrade = answer.header("upgrade");
    upgrade.is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
        && answer.header("sec-websocket-accept") == Some(&derive_accept_key(key.as_bytes()))
}

fn closed(frame: Option<&CloseFrame>) -> Lost {
    match frame.map(|frame| (u16::from(frame.code), frame.reason.as_str())) {
        Some((REPLACED, _)) => Lost::Replaced,
        Some((code, reason)) => Lost::Closed {
            code,
            reason: cut(reason),
        },
        None => Lost::Closed {
            code: NO_CODE,
            reason: String::new(),
        },
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "tungstenite may add errors, all of which mean the end"
)]
fn broken(error: &Error) -> Lost {
    let problem = match error {
        Error::ConnectionClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            "the relay hung up".to_owned()
        }
        Error::Io(error) => error.to_string(),
        error => cut(&error.to_string()),
    };
    Lost::Broken { problem }
}
