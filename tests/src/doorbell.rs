//! A doorbell as a host has it: a real WebSocket to the relay, one frame after another.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tungstenite::{ClientRequestBuilder, Message, WebSocket};

use crate::relay::Relay;

/// How long a frame may take that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open doorbell. Dropping it ends the connection without a word, as a host does that loses its power.
pub struct Doorbell(WebSocket<TcpStream>);

/// What came over a doorbell.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A frame.
    Frame(Value),
    /// Text that is no frame.
    Text(String),
    /// The relay has closed it, with this code and reason.
    Closed(u16, String),
}

impl Doorbell {
    /// Connects with a token.
    ///
    /// # Errors
    /// When the relay does not open a WebSocket.
    pub fn connect(relay: &Relay, token: &str) -> Result<Self> {
        let address = relay.url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let uri = format!("ws://{address}/v1/doorbell").parse()?;
        let request = ClientRequestBuilder::new(uri)
            .with_header("Authorization", format!("Bearer {token}"))
            .with_header("Towline-Protocol", "1");
        let (socket, _) = tungstenite::client(request, stream)
            .map_err(|error| anyhow::anyhow!("the doorbell was not opened: {error}"))?;
        Ok(Self(socket))
    }

    /// Connects, and says hello with these marks and a service of each channel.
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub fn greet(relay: &Relay, token: &str, marks: &Value) -> Result<Self> {
        let mut doorbell = Self::connect(relay, token)?;
        doorbell.say(&hello(marks))?;
        Ok(doorbell)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn say(&mut self, frame: &Value) -> Result<()> {
        self.text(&frame.to_string())
    }

    /// Sends text.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn text(&mut self, text: &str) -> Result<()> {
        Ok(self.0.send(Message::text(text))?)
    }

    /// Sends a binary frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.send(Message::binary(bytes.to_vec()))?)
    }

    /// What comes next.
    ///
    /// # Errors
    /// When nothing does within 20 seconds, or the connection ends without a close.
    pub fn hear(&mut self) -> Result<Heard> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.0.read().context("the doorbell")? {
                Message::Text(text) => {
                    let frame = serde_json::from_str(&text);
                    return Ok(frame.map_or_else(|_| Heard::Text(text.to_string()), Heard::Frame));
                }
                Message::Close(Some(close)) => {
                    return Ok(Heard::Closed(close.code.into(), close.reason.to_string()));
                }
                Message::Close(None) => bail!("closed without a code"),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        bail!("nothing but control frames for {PATIENCE:?}")
    }

    /// The frame that comes next.
    ///
    /// # Errors
    /// As for [`Self::hear`], or when something else comes.
    pub fn frame(&mut self) -> Result<Value> {
        match self.hear()? {
            Heard::Frame(frame) => Ok(frame),
            other @ (Heard::Text(_) | Heard::Closed(..)) => bail!("{other:?} and no frame"),
        }
    }

    /// The channel and number of the ring that comes next.
    ///
    /// # Errors
    /// As for [`Self::frame`], or when another frame comes.
    pub fn ring(&mut self) -> Result<(String, u64)> {
        let frame = self.frame()?;
        let intent = &frame["intent"];
        let (channel, seq) = (intent["channel"].as_str(), intent["seq"].as_u64());
        match (frame["type"].as_str(), channel, seq) {
            (Some("ring"), Some(channel), Some(seq)) => Ok((channel.to_owned(), seq)),
            _ => bail!("no ring: {frame}"),
        }
    }

    /// The close that comes next: its code and reason.
    ///
    /// # Errors
    /// As for [`Self::hear`], or when something else comes.
    pub fn closed(&mut self) -> Result<(u16, String)> {
        match self.hear()? {
            Heard::Closed(code, reason) => Ok((code, reason)),
            other @ (Heard::Text(_) | Heard::Frame(_)) => bail!("{other:?} and no close"),
        }
    }

    /// Waits until the relay has answered a ping, and asserts that nothing came before.
    ///
    /// # Errors
    /// When anything else comes first.
    pub fn is_quiet(&mut self) -> Result<()> {
        self.text("ping")?;
        match self.hear()? {
            Heard::Text(text) if text == "pong" => Ok(()),
            other @ (Heard::Text(_) | Heard::Frame(_) | Heard::Closed(..)) => {
                bail!("{other:?} and no pong")
            }
        }
    }

    /// Everything that came before the hub has acknowledged a report: a pong says nothing of what the hub has still
    /// to do.
    ///
    /// # Errors
    /// When anything but a frame comes.
    pub fn frames(&mut self) -> Result<Vec<Value>> {
        self.say(&json!({
            "type": "report", "id": "so far", "intent": "in_aaaaaaaaaaaaaaaaaaaaaaaaaa", "attempt": 1,
            "started_at": "2026-11-20T15:00:01Z", "service": "web", "outcome": "waiting",
        }))?;
        let mut frames = Vec::new();
        loop {
            let frame = self.frame()?;
            if frame["type"] == "ack" {
                return Ok(frames);
            }
            frames.push(frame);
        }
    }

    /// Closes it as a host does that stops.
    ///
    /// # Errors
    /// When the relay does not answer the close.
    pub fn close(mut self) -> Result<()> {
        self.0.close(None)?;
        loop {
            match self.0.read() {
                Ok(_) => {}
                Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
                Err(error) => return Err(error).context("after the close"),
            }
        }
    }
}

/// A hello with these marks, and a service called `web` on each channel.
pub fn hello(marks: &Value) -> Value {
    let channels = marks.as_object().into_iter().flat_map(|marks| marks.keys());
    let services: Vec<_> = channels
        .map(|channel| json!({ "name": "web", "channel": channel, "kind": "docker", "running": null }))
        .collect();
    json!({ "type": "hello", "version": "0.1.0", "marks": marks, "services": services })
}
