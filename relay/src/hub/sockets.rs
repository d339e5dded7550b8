//! The hub's sockets: doorbells that stay open while the hub is out of memory (Cloudflare, "WebSocket
//! Hibernation API").
//!
//! What a frame means and who gets what is decided in [`crate::doorbell`]. Each socket has one tag, its
//! host's name, and carries its [`Caller`]; subscriptions are rows. A message is sent no earlier than what was
//! written before it is durable, so that no ring is for an intent that a restart could forget.
//!
//! `State`'s own methods panic where the runtime throws, so that the raw ones are called.

use jiff::Timestamp;
use towline_protocol::{
    Hello, HostName, IntentId, ToHost, ToHub,
    doorbell::{PING, PONG},
};
use worker::{
    Date, Response, State, WebSocket, WebSocketIncomingMessage, WebSocketPair,
    WebSocketRequestResponsePair, console_error, console_log, js_sys, wasm_bindgen::JsCast,
};

use super::{Hub, Parts, failed};
use crate::{
    doorbell::{self, Caller, Close},
    error::Fault,
    now_ms,
};

/// A socket that is neither closed nor closing (WHATWG, "WebSockets", `readyState`).
const OPEN: u16 = 1;

impl Hub {
    /// Opens a doorbell; one that the same host had before is closed.
    pub(super) fn open(&self, caller: &Caller) -> Result<Response, Fault> {
        let pair = WebSocketPair::new().map_err(failed)?;
        let state = self.state.as_raw();
        for before in of_host(&self.state, &caller.host)? {
            close(&before, &Close::replaced());
        }
        let answer = WebSocketRequestResponsePair::new(PING, PONG).map_err(thrown)?;
        state.set_websocket_auto_response(&answer).map_err(thrown)?;
        let tags = vec![caller.host.as_str().into()];
        state
            .accept_websocket_with_tags(pair.server.as_ref(), tags)
            .map_err(thrown)?;
        remember(&pair.server, caller)?;
        Response::from_websocket(pair.client).map_err(failed)
    }

    /// Acts on a frame. What cannot be done closes the socket, so that the host connects and tells again.
    pub(super) fn hear(&self, socket: &WebSocket, message: &WebSocketIncomingMessage) {
        let is_replaced = socket.as_ref().ready_state() != OPEN;
        if is_replaced {
            return;
        }
        let frame = match message {
            WebSocketIncomingMessage::String(text) => doorbell::frame(text),
            WebSocketIncomingMessage::Binary(_) => Err(doorbell::binary()),
        };
        let closed = frame.and_then(|frame| {
            self.act(socket, frame).map_err(|fault| {
                console_error!("doorbell: {fault}");
                Close::unavailable()
            })
        });
        if let Err(why) = closed {
            console_log!("doorbell: closed with {}: {}", why.code, why.reason);
            close(socket, &why);
        }
    }

    fn act(&self, socket: &WebSocket, frame: ToHub) -> Result<(), Fault> {
        let caller = caller(socket)?;
        match frame {
            ToHub::Hello(hello) => self.greet(socket, caller, hello),
            ToHub::Report { id, report } => {
                let named = id.unwrap_or_else(|| report.intent.to_string());
                self.keep(&caller.host, &caller.channels, &[*report])?;
                tell(socket, &ToHost::Ack { ids: vec![named] })
            }
            ToHub::Unknown => Ok(()),
        }
    }

    /// Registers first and rings then, so that nothing falls between.
    fn greet(&self, socket: &WebSocket, caller: Caller, hello: Hello) -> Result<(), Fault> {
        let parts = self.parts()?;
        let hello = self.register(&caller.host, &caller.channels, hello)?;
        let greeted = Caller {
            greeted: true,
            ..caller
        };
        remember(socket, &greeted)?;
        for intent in parts.store.unheard(&hello.marks)? {
            let intent = Box::new(intent);
            tell(socket, &ToHost::Ring { intent })?;
        }
        Ok(())
    }

    /// Rings for a committed intent at every host that listens to its channel. A socket that fails is
    /// dropped; the intent is in the mailbox too.
    pub(super) fn ring(&self, parts: &Parts, id: &IntentId) {
        if let Err(fault) = self.try_ring(parts, id) {
            console_error!("doorbell: {id}: {fault}");
        }
    }

    fn try_ring(&self, parts: &Parts, id: &IntentId) -> Result<(), Fault> {
        let Some(intent) = parts.store.intent(id)? else {
            return Ok(());
        };
        let channel = &intent.channel.clone();
        let intent = Box::new(intent);
        let ring = serde_json::to_string(&ToHost::Ring { intent }).map_err(failed)?;
        for host in parts.store.listeners(channel)? {
            for socket in of_host(&self.state, &host)? {
                if caller(&socket).is_ok_and(|caller| caller.hears(channel))
                    && let Err(error) = socket.send_with_str(&ring)
                {
                    console_error!("doorbell of {host}: {}", failed(error));
                    close(&socket, &Close::unavailable());
                }
            }
        }
        Ok(())
    }

    /// When a host with an open doorbell was last heard on it: its last ping, or its coming. What the
    /// runtime cannot say counts as never.
    pub(super) fn heard_at(&self, host: &HostName) -> Option<Timestamp> {
        let sockets = of_host(&self.state, host).ok()?;
        let heard_ms = sockets.iter().filter_map(|socket| {
            let opened_ms = caller(socket).ok()?.opened_ms;
            Some(opened_ms.max(self.pinged_ms(socket).unwrap_or(0)))
        });
        let heard_ms = i64::try_from(heard_ms.max()?).ok()?;
        Timestamp::from_millisecond(heard_ms).ok()
    }

    /// When a ping was last answered for us. The crate `worker` does not have this call.
    fn pinged_ms(&self, socket: &WebSocket) -> Option<u64> {
        let state = self.state.as_raw();
        let call = js_sys::Reflect::get(state, &"getWebSocketAutoResponseTimestamp".into()).ok()?;
        let call: js_sys::Function = call.dyn_into().ok()?;
        let answer = call.call1(state, socket.as_ref()).ok()?;
        // Null before the first ping.
        if !answer.is_object() {
            return None;
        }
        Some(Date::from(answer.unchecked_into::<js_sys::Date>()).as_millis())
    }

    /// Answers a host's close, and notes that it was there until now.
    pub(super) fn left(&self, socket: &WebSocket) {
        let _ = socket.close::<&str>(None, None);
        let noted =
            caller(socket).and_then(|caller| self.parts()?.store.saw(&caller.host, now_ms()));
        if let Err(fault) = noted {
            console_error!("doorbell: {fault}");
        }
    }
}

/// The open sockets of a host.
pub(super) fn of_host(state: &State, host: &HostName) -> Result<Vec<WebSocket>, Fault> {
    let sockets = state.as_raw().get_websockets_with_tag(host.as_str());
    let sockets = sockets.map_err(thrown)?.into_iter();
    let open = sockets.filter(|socket| socket.ready_state() == OPEN);
    Ok(open.map(WebSocket::from).collect())
}

fn caller(socket: &WebSocket) -> Result<Caller, Fault> {
    let kept: Option<String> = socket.deserialize_attachment().map_err(failed)?;
    let kept = kept.ok_or_else(|| failed("a socket does not say whose it is"))?;
    serde_json::from_str(&kept).map_err(failed)
}

fn remember(socket: &WebSocket, caller: &Caller) -> Result<(), Fault> {
    let json = serde_json::to_string(caller).map_err(failed)?;
    socket.serialize_attachment(json).map_err(failed)
}

fn tell(socket: &WebSocket, frame: &ToHost) -> Result<(), Fault> {
    let json = serde_json::to_string(frame).map_err(failed)?;
    socket.send_with_str(json).map_err(failed)
}

/// A socket that is closed already is none the worse for it.
fn close(socket: &WebSocket, why: &Close) {
    let _ = socket.close(Some(why.code), Some(&why.reason));
}

fn thrown(error: worker::wasm_bindgen::JsValue) -> Fault {
    failed(worker::Error::from(error))
}
